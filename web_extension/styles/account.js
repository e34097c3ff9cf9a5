import { sheet } from '../dom.js'

export const accountStyles = sheet(`
  :host { min-width: 0; }
  .person { max-width: 100%; min-height: 32px; padding: 0 10px; border-color: transparent; background: none; }
  .person span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .person .icon { font-size: 17px; }
  dialog { width: min(520px, calc(100vw - 32px)); max-height: min(760px, calc(100dvh - 32px)); }
  dialog[open] { display: flex; flex-direction: column; }
  header { display: flex; align-items: center; gap: 8px; padding: 14px 12px 0 20px; }
  h2 { flex: 1; margin: 0; font-size: 17px; font-weight: 600; line-height: 24px; overflow-wrap: anywhere; }
  h3 { margin: 0 0 6px; font-size: 13px; font-weight: 600; }
  .role { margin: 0; padding: 0 20px 12px; color: var(--genonaut-quiet); }
  .body { flex: 1; min-height: 0; overflow-y: auto; padding: 0 20px; scrollbar-width: thin; overscroll-behavior: contain; }
  section { padding: 14px 0; border-top: 1px solid var(--genonaut-line); }
  ul { display: grid; gap: 10px; margin: 0; padding: 0; list-style: none; }
  ul:not(:empty) ~ * { margin-top: 12px; }
  li { display: flex; align-items: center; gap: 12px; }
  li > span { flex: 1; min-width: 0; overflow-wrap: anywhere; }
  li strong { display: block; font-weight: 500; }
  li span span { color: var(--genonaut-quiet); font-size: 12px; }
  summary { padding: 4px 0; border-radius: 6px; font-weight: 600; cursor: pointer; }
  form { padding: 10px 0 4px; }
  form button { justify-self: start; }
  .secret { padding: 12px; border-radius: var(--genonaut-radius); background: var(--genonaut-raised); }
  .secret p { margin: 0 0 8px; }
  .secret div { display: flex; gap: 8px; }
  .secret input { min-width: 0; font-family: ui-monospace, monospace; background: var(--genonaut-ground); }
  .said { min-height: 20px; margin: 0; padding: 8px 20px 0; color: var(--genonaut-quiet); font-size: 12px; }
  footer { display: flex; padding: 8px 20px 16px; }
  footer button { flex: 1; min-height: 36px; }
  @media (max-width: 480px) {
    dialog { width: 100vw; max-width: none; height: 100dvh; max-height: none; border: 0; border-radius: 0; }
  }
`)
