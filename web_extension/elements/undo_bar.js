import { h, sheet } from '../dom.js'
import { theme } from '../styles/theme.js'

const OFFERED_FOR_MS = 10_000

const undoBarStyles = sheet(`
  :host {
    position: absolute; z-index: 2; inset-inline: 12px; inset-block-end: 12px; display: flex; align-items: center; gap: 8px;
    padding: 8px 8px 8px 14px; border-radius: var(--genonaut-radius); background: var(--genonaut-text);
    color: var(--genonaut-ground); font-size: 12.5px; box-shadow: 0 4px 16px rgb(0 0 0 / .3);
  }
  span { flex: 1; min-width: 0; overflow-wrap: anywhere; }
  button, button:hover { border: 0; background: none; font-weight: 600; text-decoration: underline; }
  :focus-visible { outline-color: currentColor; outline-offset: -2px; }
`)

/**
 * Says what was done and offers to undo it, for some seconds; longer while the pointer or the keyboard is on it.
 *
 * @fires genonaut-undo - somebody wants it undone. `detail.id`
 */
export class UndoBarElement extends HTMLElement {
  static define(tag = 'genonaut-undo-bar', registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this)
  }

  #id = ''
  #said = h('span', { role: 'status' })
  #undo
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #hiding

  /** @param {string} label what stands on its button */
  constructor(label) {
    super()
    this.hidden = true
    this.#undo = h('button', { type: 'button', textContent: label })
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    root.adoptedStyleSheets = [theme, undoBarStyles]
    root.append(this.#said, this.#undo)
    this.#undo.addEventListener('click', () => {
      this.hide()
      this.dispatchEvent(new CustomEvent('genonaut-undo', { detail: { id: this.#id } }))
    })
  }

  disconnectedCallback() {
    clearTimeout(this.#hiding)
  }

  /**
   * @param {string} id of what it was done to
   * @param {string} sentence
   */
  offer(id, sentence) {
    this.#id = id
    this.hidden = false
    this.#said.textContent = sentence
    this.#hideLater()
  }

  hide() {
    clearTimeout(this.#hiding)
    this.hidden = true
  }

  #hideLater() {
    clearTimeout(this.#hiding)
    this.#hiding = setTimeout(() => {
      if (this.matches(':hover') || this.#undo.matches(':focus-visible')) this.#hideLater()
      else this.hide()
    }, OFFERED_FOR_MS)
  }
}
