import { sheet } from '../dom.js'

/** What all our fields look like, and the words above each. */
export const fields = sheet(`
  label { display: grid; gap: 4px; color: var(--genonaut-quiet); font-size: 12px; }
  input, select {
    width: 100%; min-height: 36px; padding: 0 10px; border: 1px solid var(--genonaut-line); border-radius: 8px;
    background: var(--genonaut-raised); color: var(--genonaut-text); font: inherit; font-size: 13px;
  }
`)
