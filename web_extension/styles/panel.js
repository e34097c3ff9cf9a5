import { sheet } from '../dom.js'

/** What every panel looks like around what it shows. */
export const panelStyles = sheet(`
  :host { display: block; height: 100%; min-height: 0; min-width: 0; background: var(--genonaut-ground); contain: strict; }
  :host > section { position: relative; display: flex; flex-direction: column; height: 100%; }
  header { display: flex; align-items: center; gap: 10px; min-height: 56px; padding-block: 10px 8px; padding-inline: 14px 12px; }
  h2 { flex: 1 0 auto; margin: 0; font-size: 15px; font-weight: 600; line-height: 20px; }
`)
