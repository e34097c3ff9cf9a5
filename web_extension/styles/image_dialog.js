import { sheet } from '../dom.js'

export const dialogStyles = sheet(`
  dialog {
    width: min(1400px, calc(100vw - 32px)); height: min(1000px, calc(100dvh - 32px)); max-width: none; max-height: none;
  }
  dialog[open] { display: grid; grid-template: minmax(0, 1fr) / minmax(0, 1fr) 340px; }
  .stage { position: relative; min-height: 0; background: color-mix(in srgb, #000 14%, var(--genonaut-ground)); }
  genonaut-picture { position: absolute; inset: 20px; border-radius: 6px; }
  .instead {
    position: absolute; inset: 20px; display: flex; flex-direction: column; align-items: center; justify-content: center;
    gap: 10px; padding: 0 48px; text-align: center; text-wrap: balance; font-size: 15px;
  }
  .instead .icon { font-size: 36px; stroke-width: 1.4; color: var(--genonaut-quiet); }
  [data-tone='bad'] .icon { color: var(--genonaut-bad); }
  [data-tone='busy'] .icon { color: var(--genonaut-accent); }
  .instead genonaut-progress { width: min(280px, 100%); }
  .step {
    position: absolute; top: 50%; width: 44px; height: 44px; margin-top: -22px; padding: 0; border: 0; border-radius: 50%;
    background: rgb(0 0 0 / .5); color: #fff; font-size: 22px;
  }
  .step:hover { background: rgb(0 0 0 / .75); }
  .previous { inset-inline-start: 12px; }
  .next { inset-inline-end: 12px; }
  :host(:dir(rtl)) .step .icon { transform: scaleX(-1); }
  .side { display: flex; flex-direction: column; min-height: 0; border-inline-start: 1px solid var(--genonaut-line); }
  header { display: flex; align-items: flex-start; gap: 8px; padding: 14px 12px 2px 20px; }
  h2 {
    flex: 1; margin: 0; padding-block: 8px; font-size: 15px; font-weight: 600; line-height: 20px; overflow-wrap: anywhere;
    display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden;
  }
  .favourite, .edit { width: 36px; min-height: 36px; padding: 0; border: 0; background: none; font-size: 18px; }
  .favourite[aria-pressed='true'] .icon { fill: currentColor; color: var(--genonaut-accent); }
  .favourite:hover, .edit:hover { background: var(--genonaut-hover); }
  .state { display: flex; align-items: center; gap: 6px; padding: 0 20px 10px; color: var(--genonaut-quiet); }
  .facts {
    flex: 1; min-height: 0; overflow-y: auto; padding: 4px 20px 16px; scrollbar-width: thin; overscroll-behavior: contain;
    scrollbar-color: var(--genonaut-line) transparent;
  }
  dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 7px 12px; margin: 0; user-select: text; }
  dt { color: var(--genonaut-quiet); }
  dd { margin: 0; overflow-wrap: anywhere; }
  dt.long, dd.long { grid-column: 1 / -1; }
  dd.long { margin: -3px 0 8px; white-space: pre-wrap; line-height: 1.5; }
  dd:has(.copy) { white-space: nowrap; }
  dd .copy { width: 28px; min-height: 28px; margin: -5px 0 -5px 4px; padding: 0; border: 0; background: none; vertical-align: middle; }
  dd .copy:hover { background: var(--genonaut-hover); }
  .tag { display: inline-block; margin: 0 4px 4px 0; padding: 0 8px; border-radius: 10px; background: var(--genonaut-raised); }
  .said { min-height: 20px; margin: 0; padding: 0 20px; color: var(--genonaut-quiet); font-size: 12px; }
  footer { display: flex; flex-wrap: wrap; gap: 8px; padding: 10px 20px 16px; }
  footer > * { flex: 1 1 auto; }
  footer .icon, .copy .icon { font-size: 15px; }
  @media (max-width: 760px) {
    dialog { width: 100vw; height: 100dvh; border: 0; border-radius: 0; }
    dialog[open] { grid-template: minmax(180px, 46%) minmax(0, 1fr) / minmax(0, 1fr); }
    .stage { order: 0; }
    genonaut-picture, .instead { inset: 8px; }
    .side { border: 0; overflow-y: auto; }
    header { padding-top: 6px; }
  }
`)
