/**
 * @import { Formats } from '../format.js'
 * @import { SidecarClient } from '../sidecar_client.js'
 * @import { Strings } from '../strings.js'
 * @import { Generation, Image, ThumbnailSize } from '../types.js'
 * @import { Statement } from '../wording.js'
 */

import { h, setText } from '../dom.js'
import { isOpen } from '../history.js'
import { icon } from '../icons.js'
import { cardStyles } from '../styles/generation_card.js'
import { theme } from '../styles/theme.js'
import { coverOf, insteadOfPicture, nameOf, stateOf, stepOf } from '../wording.js'
import { PictureElement } from './picture.js'
import { ProgressElement } from './progress.js'

/**
 * What a card shows. Two equal looks are not drawn twice.
 *
 * @typedef {object} CardLook
 * @property {Generation | null} generation null: a skeleton, while it is being read
 * @property {ThumbnailSize} thumbnail
 * @property {boolean} withPicture false while the reader flies past
 * @property {number} minute changes when "5 minutes ago" has to be said anew
 */

/**
 * Where a card lies in the list, in pixels, and the how-manieth it is; `count` is -1 while nobody knows.
 *
 * @typedef {{ top: number, start: number, width: number, height: number, number: number, count: number }} CardPlace
 */

/** What all cards of one history share. */
/** @typedef {{ client: SidecarClient, strings: Strings, formats: Formats }} Surroundings */

/** The height of the lines below the picture, which is a square. `styles/generation_card.js` draws them. */
export const CARD_TEXT_HEIGHT_PX = 42

/**
 * One generation in the history: its picture, or how far it is.
 *
 * @fires genonaut-open - somebody wants to see all of it. `detail.id`
 * @fires genonaut-cancel - somebody wants it to stop. `detail.id`
 */
export class GenerationCardElement extends HTMLElement {
  static define(tag = 'genonaut-generation-card', registry = customElements) {
    PictureElement.define()
    ProgressElement.define()
    if (!registry.get(tag)) registry.define(tag, this)
  }

  /** @type {Surroundings | null} */
  surroundings = null

  /** @type {CardLook | null} */
  #look = null
  /** @type {CardPlace | null} */
  #place = null
  #picture = new PictureElement()
  #progress = new ProgressElement()
  #instead = h('div', { className: 'instead' })
  #count = h('span', { className: 'count' })
  #stage = h('div', { className: 'stage' }, this.#picture, this.#instead, ' ', this.#count)
  #name = h('span', { className: 'name' })
  #state = h('span', { className: 'state' })
  // Spaces are not drawn here; without them, whoever takes the text of it would read the lines as one word.
  #open = h('button', { className: 'open', type: 'button', tabIndex: -1 }, this.#stage, ' ', this.#name, ' ', this.#state)
  #cancel = h('button', { className: 'cancel', type: 'button', tabIndex: -1 }, icon('close'))

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    root.adoptedStyleSheets = [theme, cardStyles]
    root.append(this.#open, this.#cancel)
    this.#open.addEventListener('click', () => this.#tell('genonaut-open'))
    this.#cancel.addEventListener('click', () => this.#tell('genonaut-cancel'))
  }

  connectedCallback() {
    this.role = 'listitem'
  }

  get generation() {
    return this.#look?.generation ?? null
  }

  /** Is this the card that Tab leads to? One of all is. */
  set isCurrent(/** @type {boolean} */ isCurrent) {
    const tabIndex = isCurrent ? 0 : -1
    if (this.#open.tabIndex !== tabIndex) this.#open.tabIndex = this.#cancel.tabIndex = tabIndex
  }

  /** @param {CardPlace} place */
  place(place) {
    const { top, start, width, height, number, count } = place
    // Asked for at each frame; what is written anew without need makes the browser work it all out again.
    const before = this.#place
    this.#place = place
    if (before?.top !== top) this.style.top = `${top}px`
    if (before?.start !== start) this.style.insetInlineStart = `${start}px`
    if (before?.width !== width) this.style.width = `${width}px`
    if (before?.height !== height) this.style.height = `${height}px`
    if (before?.number !== number) this.ariaPosInSet = String(number)
    if (before?.count !== count) this.ariaSetSize = String(count)
  }

  /** @param {CardLook} look */
  show(look) {
    const before = this.#look
    if (before && sameLook(before, look)) return
    this.#look = look
    this.toggleAttribute('data-empty', look.generation === null)
    if (look.generation) this.#draw(look.generation, look)
    else this.#drawSkeleton()
  }

  /**
   * @param {Generation} generation
   * @param {CardLook} look
   */
  #draw(generation, look) {
    const { strings, formats } = this.#surrounded()
    const state = stateOf(generation, strings, formats)
    const image = coverOf(generation)
    const name = nameOf(generation, strings)
    this.dataset.tone = state.tone
    this.#drawPicture(image, look)
    const instead = this.#drawStage(generation, image, state)
    const count = this.#drawCount(generation.images.length)
    setText(this.#name, name)
    const line = this.#drawState(generation, state)
    this.#open.disabled = false
    // All that can be read on it, in the order in which it stands there: what somebody sees is what they say to press it.
    this.#open.ariaLabel = asOneText([...(instead.length ? instead : [state.text]), count, name, line])
    this.#cancel.hidden = !isOpen(generation) || generation.cancel_requested
    this.#cancel.ariaLabel = this.#cancel.title = strings.say('card.cancel')
  }

  #drawSkeleton() {
    this.dataset.tone = 'calm'
    this.#picture.show(null, { url: '', alt: '' })
    this.#instead.hidden = this.#count.hidden = this.#cancel.hidden = true
    this.#progress.remove()
    this.#name.replaceChildren()
    this.#state.replaceChildren()
    this.#open.disabled = true
    this.#open.ariaLabel = this.#surrounded().strings.say('card.reading')
  }

  /**
   * @param {Generation} generation
   * @param {Image | null} image
   * @param {Statement} state
   * @returns {string[]} what stands there in words
   */
  #drawStage(generation, image, state) {
    const { strings } = this.#surrounded()
    const isBusy = isOpen(generation)
    const sentence = isBusy ? state.text : insteadOfPicture(generation, image, strings)
    this.#instead.hidden = sentence === ''
    const step = isBusy && generation.state === 'running' ? stepOf(generation, strings) : ''
    const sign = isBusy || !image || image.state === 'kept' ? state.icon : iconOfImage(image)
    this.#instead.replaceChildren(
      icon(sign === 'completed' ? 'picture' : sign),
      h('span', { textContent: sentence }),
      ...(step ? [' ', h('span', { className: 'step', textContent: step })] : []),
    )
    this.#drawProgress(generation)
    return [sentence, step].filter(Boolean)
  }

  /** @param {Generation} generation */
  #drawProgress({ state, progress }) {
    if (state !== 'running') return this.#progress.remove()
    this.#progress.fraction = progress?.fraction ?? null
    this.#progress.ariaLabel = this.#surrounded().strings.say('state.running')
    if (!this.#progress.isConnected) this.#stage.append(this.#progress)
  }

  /**
   * @param {Image | null} image
   * @param {CardLook} look
   */
  #drawPicture(image, { withPicture, thumbnail }) {
    const shown = image?.state === 'kept' ? image : null
    const url = shown && withPicture ? this.#surrounded().client.thumbnailUrl(shown.id, thumbnail) : ''
    this.#picture.show(shown, { url, alt: '' })
  }

  /**
   * @param {number} count of its images
   * @returns {string} how many they are, in words; empty for one
   */
  #drawCount(count) {
    this.#count.hidden = count < 2
    if (count < 2) return ''
    const { strings, formats } = this.#surrounded()
    this.#count.replaceChildren(icon('images'), formats.number(count))
    return strings.say('card.images', { count })
  }

  /**
   * @param {Generation} generation
   * @param {Statement} state
   * @returns {string} what stands there
   */
  #drawState(generation, state) {
    const { formats } = this.#surrounded()
    const ago = formats.ago(generation.finished_at ?? generation.created_at)
    const took = generation.gpu_seconds === null ? '' : formats.duration(generation.gpu_seconds)
    const words = generation.state === 'completed' ? [ago, took] : isOpen(generation) ? [ago] : [state.text, ago]
    const line = words.filter(Boolean).join(' · ')
    const text = h('span', { textContent: line })
    if (generation.state === 'completed' || isOpen(generation)) this.#state.replaceChildren(text)
    else this.#state.replaceChildren(icon(state.icon), text)
    return line
  }

  #surrounded() {
    if (this.surroundings === null) throw new Error('A card needs its surroundings before it can show anything.')
    return this.surroundings
  }

  /** @param {string} name */
  #tell(name) {
    const id = this.generation?.id
    if (id) this.dispatchEvent(new CustomEvent(name, { detail: { id }, bubbles: true, composed: true }))
  }
}

/** @param {string[]} texts each with a full stop of its own, or without */
function asOneText(texts) {
  return texts.flatMap((text) => (text ? [text.replace(/\.$/, '')] : [])).join('. ')
}

/** @param {Image} image one that cannot be shown */
function iconOfImage({ state }) {
  return state === 'expected' ? 'pending' : state === 'missing' ? 'missing' : 'corrupt'
}

/**
 * @param {CardLook} one
 * @param {CardLook} other
 */
function sameLook(one, other) {
  return (
    one.generation === other.generation &&
    one.thumbnail === other.thumbnail &&
    one.withPicture === other.withPicture &&
    one.minute === other.minute
  )
}
