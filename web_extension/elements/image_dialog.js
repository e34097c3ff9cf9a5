/**
 * @import { Fact } from '../facts.js'
 * @import { Generation, Image } from '../types.js'
 * @import { Surroundings } from './generation_card.js'
 */

import { copyText } from '../clipboard.js'
import { h, setText, setTold } from '../dom.js'
import { factsOf } from '../facts.js'
import { isOpen } from '../history.js'
import { icon, iconButton } from '../icons.js'
import { refusalOf } from '../reasons.js'
import { SidecarError } from '../sidecar_client.js'
import { dialogFrame } from '../styles/dialog_frame.js'
import { dialogStyles } from '../styles/image_dialog.js'
import { theme } from '../styles/theme.js'
import { insteadOfPicture, nameOf, stateOf, stepOf } from '../wording.js'
import { NameFormElement } from './name_form.js'
import { PictureElement } from './picture.js'
import { ProgressElement } from './progress.js'

/**
 * One generation in full: its image, and all that is known of how it came about.
 *
 * @fires genonaut-step - somebody wants the next or the previous image. `detail.by` is 1 or -1
 * @fires genonaut-cancel - somebody wants the generation to stop. `detail.id`
 * @fires genonaut-repeat - somebody wants it once more. `detail.id`
 * @fires genonaut-favourite - somebody likes it, or does not any more. `detail.id`, `detail.favourite`
 * @fires genonaut-rename - somebody has given it another title or other tags. `detail.id`, `detail.title`, `detail.tags`
 * @fires genonaut-trash - somebody wants it out of sight. `detail.id`
 * @fires close - it was closed. `shown` still says what was looked at last
 */
export class ImageDialogElement extends HTMLElement {
  static define(tag = 'genonaut-image-dialog', registry = customElements) {
    NameFormElement.define()
    PictureElement.define()
    ProgressElement.define()
    if (!registry.get(tag)) registry.define(tag, this)
  }

  /**
   * Puts the workflow of a generation into the page. Where nobody can, the button is not there.
   *
   * @type {((generation: Generation) => Promise<void>) | null}
   */
  loadWorkflow = null

  /** @type {{ generation: Generation, imageIndex: number } | null} */
  shown = null

  #surroundings
  #picture = new PictureElement()
  #progress = new ProgressElement()
  #instead = h('div', { className: 'instead' })
  #previous
  #next
  #stage
  #title = h('h2', { id: 'title' })
  #state = h('div', { className: 'state' })
  #facts = h('dl')
  #said = h('p', { className: 'said', role: 'status' })
  #close
  #edit
  #nameForm
  #load
  #download
  #cancel
  #repeat
  #favourite
  #trash
  #dialog

  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    super()
    this.#surroundings = surroundings
    const { strings } = surroundings
    this.#previous = iconButton('previous', 'step previous', strings.say('dialog.previous'), () => this.#step(-1))
    this.#next = iconButton('next', 'step next', strings.say('dialog.next'), () => this.#step(1))
    this.#close = iconButton('close', 'close', strings.say('dialog.close'), () => this.#dialog.close())
    this.#close.autofocus = true
    this.#edit = iconButton('pencil', 'edit', strings.say('dialog.edit'), () => this.#rename())
    this.#nameForm = new NameFormElement(strings)
    this.#load = h('button', { type: 'button' }, icon('workflow'), strings.say('dialog.loadWorkflow'))
    this.#download = h('a', { className: 'button' }, icon('download'), strings.say('dialog.download'))
    this.#cancel = h('button', { type: 'button' }, icon('close'), strings.say('card.cancel'))
    this.#repeat = h('button', { type: 'button' }, icon('repeat'), strings.say('dialog.repeat'))
    this.#favourite = iconButton('star', 'favourite', strings.say('dialog.favourite'), () => this.#like())
    this.#trash = h('button', { type: 'button' }, icon('trash'), strings.say('dialog.delete'))
    this.#stage = h('div', { className: 'stage' }, this.#picture, this.#instead, this.#previous, this.#next)
    this.#dialog = this.#build()
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [theme, dialogFrame, dialogStyles]
    root.append(this.#dialog)
    this.#nameForm.addEventListener('close', () => this.#edit.focus())
    this.#load.addEventListener('click', () => this.#loadWorkflow())
    for (const [button, name] of /** @type {const} */ ([
      [this.#cancel, 'genonaut-cancel'],
      [this.#repeat, 'genonaut-repeat'],
      [this.#trash, 'genonaut-trash'],
    ]))
      button.addEventListener('click', () => this.#tell(name, { id: this.shown?.generation.id }))
  }

  get isOpen() {
    return this.#dialog.open
  }

  /**
   * Opens, or shows another image, or draws the same one anew after it has changed.
   *
   * @param {Generation} generation
   * @param {number} imageIndex
   * @param {{ previous: boolean, next: boolean }} neighbours is there one to step to?
   */
  show(generation, imageIndex, neighbours) {
    this.#previous.hidden = !neighbours.previous
    this.#next.hidden = !neighbours.next
    // A button that is hidden while it has the focus would take the keyboard with it.
    if (this.isOpen && !this.shadowRoot?.activeElement) this.#close.focus()
    const isAnother = this.shown?.generation.id !== generation.id || this.shown.imageIndex !== imageIndex
    if (!isAnother && this.shown?.generation === generation && this.isOpen) return
    this.shown = { generation, imageIndex }
    const image = generation.images[imageIndex] ?? null
    this.#drawHead(generation, imageIndex)
    this.#drawStage(generation, image)
    this.#drawFacts(generation, image)
    this.#drawActions(generation, image)
    if (isAnother) {
      setText(this.#said, '')
      this.#nameForm.hidden = true
    }
    if (!this.isOpen) this.#dialog.showModal()
  }

  close() {
    this.#dialog.close()
  }

  /**
   * What came of something that somebody wanted, below the facts.
   *
   * @param {string} sentence
   */
  say(sentence) {
    setTold(this.#said, { text: sentence, lang: this.#surroundings.strings.locale })
  }

  /**
   * Why something did not come of it.
   *
   * @param {SidecarError} error
   */
  refuse(error) {
    setTold(this.#said, refusalOf(error, this.#surroundings))
  }

  #build() {
    const side = h(
      'div',
      { className: 'side' },
      h('header', {}, this.#title, this.#edit, this.#favourite, this.#close),
      this.#nameForm,
      this.#state,
      h('div', { className: 'facts', tabIndex: 0, role: 'region', ariaLabel: this.#surroundings.strings.say('dialog.facts') }, this.#facts),
      this.#said,
      h('footer', {}, this.#load, this.#download, this.#repeat, this.#trash, this.#cancel),
    )
    const dialog = h('dialog', {}, this.#stage, side)
    dialog.setAttribute('aria-labelledby', 'title')
    dialog.addEventListener('keydown', this.#keyed)
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close())
    dialog.addEventListener('close', () => this.dispatchEvent(new Event('close')))
    return dialog
  }

  /**
   * @param {Generation} generation
   * @param {number} imageIndex
   */
  #drawHead(generation, imageIndex) {
    const { strings, formats } = this.#surroundings
    const state = stateOf(generation, strings, formats)
    const count = generation.images.length
    const words = [state.text, formats.ago(generation.finished_at ?? generation.created_at)]
    if (count > 1) words.push(strings.say('dialog.position', { index: imageIndex + 1, count }))
    setText(this.#title, generation.title || strings.say('generation.numbered', { number: generation.number }))
    this.#state.dataset.tone = state.tone
    this.#state.replaceChildren(icon(state.icon), h('span', { textContent: words.join(' · ') }))
  }

  /**
   * @param {Generation} generation
   * @param {Image | null} image
   */
  #drawStage(generation, image) {
    const { strings, formats, client } = this.#surroundings
    const kept = image?.state === 'kept' ? image : null
    this.#picture.show(kept, {
      url: kept ? client.imageUrl(kept.id) : '',
      alt: strings.say('dialog.alt', { name: nameOf(generation, strings) }),
    })
    const state = stateOf(generation, strings, formats)
    const isBusy = isOpen(generation)
    const sentence = isBusy ? state.text : insteadOfPicture(generation, image, strings)
    const lines = [sentence, isBusy ? stepOf(generation, strings) : ''].filter(Boolean)
    this.#instead.hidden = kept !== null || sentence === ''
    this.#instead.dataset.tone = state.tone
    this.#instead.replaceChildren(
      icon(state.icon === 'completed' ? 'picture' : state.icon),
      ...lines.map((line) => h('span', { textContent: line })),
    )
    if (generation.state === 'running') {
      this.#progress.fraction = generation.progress?.fraction ?? null
      this.#progress.ariaLabel = strings.say('state.running')
      this.#instead.append(this.#progress)
    }
  }

  /**
   * @param {Generation} generation
   * @param {Image | null} image
   */
  #drawFacts(generation, image) {
    const { strings, formats } = this.#surroundings
    const lines = factsOf(generation, image, strings, formats).flatMap((fact) => this.#factLine(fact))
    const tags = generation.tags.map((tag) => h('span', { className: 'tag', textContent: tag }))
    if (tags.length > 0) lines.push(h('dt', { textContent: strings.say('facts.tags') }), h('dd', {}, ...tags))
    this.#facts.replaceChildren(...lines)
  }

  /** @param {Fact} fact */
  #factLine({ key, text, isLong = false, isCopied = false }) {
    const { strings } = this.#surroundings
    const label = strings.say(`facts.${key}`)
    const className = isLong ? 'long' : ''
    const value = h('dd', { className, textContent: text })
    if (isCopied)
      value.append(iconButton('copy', 'copy', strings.say('dialog.copy', { what: label }), () => this.#copy(text)))
    return [h('dt', { className, textContent: label }), value]
  }

  /**
   * @param {Generation} generation
   * @param {Image | null} image
   */
  #drawActions(generation, image) {
    this.#load.hidden = this.loadWorkflow === null
    this.#download.hidden = image?.state !== 'kept'
    if (image?.state === 'kept') {
      this.#download.href = this.#surroundings.client.imageUrl(image.id)
      this.#download.download = fileName(generation, image)
    }
    this.#cancel.hidden = !isOpen(generation) || generation.cancel_requested
    this.#trash.hidden = isOpen(generation)
    this.#favourite.ariaPressed = String(generation.favourite)
  }

  #rename() {
    if (this.shown) this.#nameForm.open(this.shown.generation)
  }

  #like() {
    if (!this.shown) return
    const { id, favourite } = this.shown.generation
    this.#tell('genonaut-favourite', { id, favourite: !favourite })
  }

  /** @param {string} text */
  async #copy(text) {
    await copyText(text, this.#dialog)
    this.say(this.#surroundings.strings.say('dialog.copied'))
  }

  async #loadWorkflow() {
    if (!this.shown || !this.loadWorkflow) return
    this.#load.disabled = true
    try {
      await this.loadWorkflow(this.shown.generation)
      this.#dialog.close()
    } catch (error) {
      if (error instanceof SidecarError) this.refuse(error)
      else this.say(error instanceof Error ? error.message : String(error))
    } finally {
      this.#load.disabled = false
    }
  }

  #keyed = (/** @type {KeyboardEvent} */ event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return
    const onwards = getComputedStyle(this).direction === 'rtl' ? -1 : 1
    if (event.key === 'ArrowRight') this.#step(onwards)
    else if (event.key === 'ArrowLeft') this.#step(-onwards)
    else return
    event.preventDefault()
  }

  /** @param {number} by */
  #step(by) {
    this.#tell('genonaut-step', { by })
  }

  /**
   * @param {string} name
   * @param {object} detail
   */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }))
  }
}

/**
 * @param {Generation} generation
 * @param {Image} image
 */
function fileName(generation, image) {
  const extension = image.media_type?.replace(/^image\//, '').replace('jpeg', 'jpg') ?? 'png'
  return `genonaut-${generation.number}-${image.position + 1}.${extension}`
}
