import { sheet } from '../dom.js'

export const historyStyles = sheet(`
  .scroller {
    position: relative; flex: 1; min-height: 0; overflow-y: scroll; overflow-anchor: none; overscroll-behavior: contain;
    scrollbar-width: thin; scrollbar-color: var(--genonaut-line) transparent;
  }
  .list { position: relative; contain: layout style; }
  .tail { padding: 4px 12px 22px; text-align: center; color: var(--genonaut-quiet); font-size: 12px; }
  .arrived {
    position: absolute; z-index: 1; inset-block-start: 52px; inset-inline-start: 50%; translate: -50%;
    min-height: 32px; border: 0; border-radius: 16px; background: var(--genonaut-text); color: var(--genonaut-ground);
    font-weight: 600; font-size: 12.5px; box-shadow: 0 4px 16px rgb(0 0 0 / .3);
  }
  :host(:dir(rtl)) .arrived { translate: 50%; }
  .arrived:hover { background: var(--genonaut-text); }
  .empty {
    position: absolute; inset: 0; display: flex; flex-direction: column; align-items: center; justify-content: center;
    gap: 8px; padding: 24px 28px 12vh; text-align: center; text-wrap: balance; color: var(--genonaut-quiet);
  }
  .empty .icon { margin-bottom: 6px; font-size: 44px; stroke-width: 1.2; }
  .empty strong { color: var(--genonaut-text); font-size: 14px; font-weight: 600; }
`)
