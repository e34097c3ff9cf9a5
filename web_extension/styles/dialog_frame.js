import { sheet } from '../dom.js'

/** What all our dialogs look like; each says its own size. */
export const dialogFrame = sheet(`
  dialog {
    margin: auto; padding: 0; border: 1px solid var(--genonaut-line); border-radius: 16px; overflow: hidden;
    background: var(--genonaut-ground); color: inherit; box-shadow: 0 24px 80px rgb(0 0 0 / .45);
  }
  dialog[open] { animation: rise 160ms ease-out; }
  dialog::backdrop { background: rgb(0 0 0 / .6); }
  @keyframes rise { from { opacity: 0; transform: translateY(6px); } }
  .close { width: 36px; min-height: 36px; padding: 0; border: 0; background: none; font-size: 18px; }
  .close:hover { background: var(--genonaut-hover); }
`)
