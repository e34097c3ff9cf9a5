import { sheet } from '../dom.js'

export const cardStyles = sheet(`
  :host { display: block; position: absolute; contain: strict; container-type: inline-size; }
  .open {
    display: flex; flex-direction: column; align-items: stretch; justify-content: flex-start; gap: 0;
    width: 100%; height: 100%; padding: 0; border: 0; border-radius: var(--genonaut-radius);
    background: none; text-align: start; user-select: text;
  }
  .open:hover { background: none; }
  .stage {
    position: relative; width: 100%; aspect-ratio: 1; overflow: hidden;
    border-radius: var(--genonaut-radius); background: var(--genonaut-raised);
    transition: background var(--genonaut-quick);
  }
  .open:hover .stage { background: var(--genonaut-hover); }
  genonaut-picture { position: absolute; inset: 0; border-radius: 6px; }
  .instead {
    position: absolute; inset: 0; display: flex; flex-direction: column; align-items: center; justify-content: center;
    gap: 6px; padding: 12px 10px 16px; text-align: center; text-wrap: balance;
    color: var(--genonaut-quiet); font-size: 12px; line-height: 1.35;
  }
  .instead .icon { font-size: 22px; stroke-width: 1.5; }
  .instead span {
    display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden; overflow-wrap: anywhere;
  }
  :host([data-tone='bad']) .instead .icon, :host([data-tone='bad']) .state .icon { color: var(--genonaut-bad); }
  :host([data-tone='busy']) .instead { color: var(--genonaut-text); }
  :host([data-tone='busy']) .instead .icon { color: var(--genonaut-accent); }
  .step { color: var(--genonaut-quiet); font-size: 11px; font-variant-numeric: tabular-nums; }
  .count {
    position: absolute; inset-block-end: 6px; inset-inline-end: 6px; display: flex; align-items: center; gap: 3px;
    padding: 1px 6px; border-radius: 6px; background: rgb(0 0 0 / .62); color: #fff; font-size: 11px;
  }
  @container (width < 128px) {
    .instead { gap: 4px; padding: 8px 6px 12px; font-size: 11px; }
    .instead .icon { font-size: 18px; }
    .instead span { -webkit-line-clamp: 3; }
  }
  .name, .state { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; padding-inline: 2px; }
  .name { margin-top: 6px; font-size: 12.5px; line-height: 18px; }
  .state { display: flex; align-items: center; gap: 4px; color: var(--genonaut-quiet); font-size: 11.5px; line-height: 16px; }
  .state span { overflow: hidden; text-overflow: ellipsis; }
  genonaut-progress { position: absolute; inset: auto 10px 10px; }
  .cancel {
    position: absolute; inset-block-start: 6px; inset-inline-end: 6px; width: 28px; min-height: 28px; padding: 0;
    border-radius: 8px; color: var(--genonaut-quiet);
  }
  .cancel:hover { color: var(--genonaut-text); }
  :host([data-empty]) .stage { animation: breathe 1.8s ease-in-out infinite; }
  :host([data-empty]) .name, :host([data-empty]) .state {
    height: 10px; margin: 8px 0 0 2px; border-radius: 5px; background: var(--genonaut-raised);
  }
  :host([data-empty]) .name { width: 82%; }
  :host([data-empty]) .state { width: 46%; }
  @keyframes breathe { 50% { opacity: .5; } }
  :focus-visible { outline-offset: -2px; }
`)
