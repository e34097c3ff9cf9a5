/**
 * @import { Strings } from '../strings.js'
 * @import { Generation } from '../types.js'
 */

import { h, sheet } from '../dom.js'
import { fields } from '../styles/fields.js'
import { theme } from '../styles/theme.js'

const TITLE_CHARACTERS = 200
const TAG_CHARACTERS = 50
const TAGS_AT_MOST = 20

const nameFormStyles = sheet(`
  form { padding: 4px 20px 12px; }
  div { display: flex; gap: 8px; }
`)

/**
 * Title and tags of a generation, to be written anew.
 *
 * @fires genonaut-rename - somebody has written them. `detail.id`, `detail.title`, `detail.tags`
 * @fires close - it is not needed any more
 */
export class NameFormElement extends HTMLElement {
  static define(tag = 'genonaut-name-form', registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this)
  }

  #id = ''
  #title = h('input', { type: 'text', maxLength: TITLE_CHARACTERS })
  #tags = h('input', { type: 'text', maxLength: TAGS_AT_MOST * (TAG_CHARACTERS + 2) })

  /** @param {Strings} strings */
  constructor(strings) {
    super()
    this.hidden = true
    const cancel = h('button', { type: 'button', textContent: strings.say('dialog.keepNames') })
    const form = h(
      'form',
      {},
      h('label', {}, strings.say('dialog.title'), this.#title),
      h('label', {}, strings.say('dialog.tags'), this.#tags),
      h('div', {}, h('button', { textContent: strings.say('dialog.saveNames') }), cancel),
    )
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    root.adoptedStyleSheets = [theme, fields, nameFormStyles]
    root.append(form)
    cancel.addEventListener('click', () => this.close())
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#tell()
    })
    form.addEventListener('keydown', (event) => this.#keyed(event))
  }

  /** @param {Generation} generation */
  open({ id, title, tags }) {
    this.#id = id
    this.#title.value = title
    this.#tags.value = tags.join(', ')
    this.hidden = false
    this.#title.focus()
    this.#title.select()
  }

  close() {
    if (this.hidden) return
    this.hidden = true
    this.dispatchEvent(new Event('close'))
  }

  #tell() {
    const tags = this.#tags.value.split(',').map((tag) => tag.trim()).filter(Boolean)
    const detail = { id: this.#id, title: this.#title.value.trim(), tags: [...new Set(tags)] }
    this.dispatchEvent(new CustomEvent('genonaut-rename', { detail, bubbles: true, composed: true }))
    this.close()
  }

  /**
   * Keys that are meant for the text must not turn the page, and Escape must not close what lies around.
   *
   * @param {KeyboardEvent} event
   */
  #keyed(event) {
    event.stopPropagation()
    if (event.key !== 'Escape') return
    event.preventDefault()
    this.close()
  }
}
