import { sheet } from '../dom.js'

export const noticeStyles = sheet(`
  .notice {
    display: flex; gap: 8px; margin: 0 12px 10px; padding: 9px 11px; border: 1px solid var(--genonaut-line);
    border-radius: var(--genonaut-radius); background: var(--genonaut-raised); font-size: 12.5px;
  }
  .notice .icon { margin-top: 1px; font-size: 16px; color: var(--genonaut-accent); }
  .notice .words { flex: 1; align-self: center; }
  .notice.bad .icon { color: var(--genonaut-bad); }
`)
