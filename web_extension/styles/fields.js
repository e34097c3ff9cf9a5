import { sheet } from '../dom.js'

/** What all our forms look like: their fields one below the other, and the words above each. */
export const fields = sheet(`
  form { display: grid; gap: 12px; }
  label { display: grid; gap: 4px; color: var(--genonaut-quiet); font-size: 12px; }
  input, select {
    width: 100%; min-height: 36px; padding: 0 10px; border: 1px solid var(--genonaut-line); border-radius: 8px;
    background: var(--genonaut-raised); color: var(--genonaut-text); font: inherit; font-size: 13px;
  }
`)
