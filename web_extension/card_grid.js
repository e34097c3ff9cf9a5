/**
 * @import { History } from './history.js'
 * @import { Surroundings } from './elements/generation_card.js'
 */

import { CARD_TEXT_HEIGHT_PX, GenerationCardElement } from './elements/generation_card.js'
import { GridLayout } from './grid_layout.js'

/** How much is kept ready above and below what is seen. */
const READY_PX = 400
/** Faster than this between two frames nobody sees a picture, so none is fetched. */
const FLYING_PX_A_FRAME = 900
const LANDED_AFTER_MS = 120
const MINUTE_MS = 60_000

/**
 * Draws the part of a history that is in view: as many cards as fit, wherever the reader is, used again and again.
 *
 * Cards stand in the document in their order, so that a screen reader reads them so; none is moved while it
 * stays in view, so that it keeps the focus.
 */
export class CardGrid {
  #scroller
  #list
  #history
  #surroundings
  #onReach

  #layout = new GridLayout(0, CARD_TEXT_HEIGHT_PX)
  /** @type {Map<string, GenerationCardElement>} */
  #cards = new Map()
  /** @type {GenerationCardElement[]} */
  #spare = []
  /** @type {string | null} */
  #currentId = null
  #frame = 0
  #lastTop = 0
  #width = 0
  #isFlying = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #landing
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #minutes
  #resizes = new ResizeObserver(() => this.schedule())
  /** How many skeletons stand after the last card. */
  skeletons = 0

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.scroller
   * @param {HTMLElement} parts.list
   * @param {History} parts.history
   * @param {Surroundings} parts.surroundings
   * @param {(first: number, after: number) => void} parts.onReach told after each drawing which cards are near
   */
  constructor({ scroller, list, history, surroundings, onReach }) {
    this.#scroller = scroller
    this.#list = list
    this.#history = history
    this.#surroundings = surroundings
    this.#onReach = onReach
  }

  start() {
    this.#resizes.observe(this.#scroller)
    this.#scroller.addEventListener('scroll', this.#scrolled, { passive: true })
    this.#list.addEventListener('keydown', this.#keyed)
    this.#list.addEventListener('focusin', this.#focused)
    this.#minutes = setInterval(() => this.schedule(), MINUTE_MS)
    this.schedule()
  }

  stop() {
    this.#resizes.disconnect()
    this.#scroller.removeEventListener('scroll', this.#scrolled)
    this.#list.removeEventListener('keydown', this.#keyed)
    this.#list.removeEventListener('focusin', this.#focused)
    clearInterval(this.#minutes)
    clearTimeout(this.#landing)
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    this.#list.replaceChildren()
    this.#cards.clear()
  }

  /** Draws at the next frame, however often it is asked until then. */
  schedule() {
    if (this.#frame) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      this.#draw()
    })
  }

  /**
   * Brings one into view and gives it the focus.
   *
   * @param {string} id
   */
  focus(id) {
    const index = this.#history.indexOf(id)
    if (index < 0) return
    this.#currentId = id
    this.#scrollTo(index)
    this.#draw()
    this.#cards.get(id)?.focus({ preventScroll: true })
  }

  #draw() {
    this.#measure()
    const count = this.#history.length
    this.#list.style.height = `${this.#layout.heightOf(count + this.skeletons)}px`
    const { scrollTop, clientHeight } = this.#scroller
    const { first, after } = this.#layout.between(
      scrollTop - READY_PX,
      scrollTop + clientHeight + READY_PX,
      count + this.skeletons,
    )
    this.#place(this.#wanted(first, after))
    this.#onReach(first, after)
  }

  /** Takes in a new width, and keeps the first card in view where it was. */
  #measure() {
    const width = this.#scroller.clientWidth
    if (width === this.#width) return
    const topIndex = Math.floor(this.#scroller.scrollTop / this.#layout.rowHeight) * this.#layout.columns
    this.#width = width
    this.#layout = new GridLayout(width, CARD_TEXT_HEIGHT_PX)
    this.#list.style.height = `${this.#layout.heightOf(this.#history.length + this.skeletons)}px`
    if (topIndex > 0) this.#scroller.scrollTop = this.#layout.placeOf(topIndex).top
  }

  /**
   * The places to fill, by the key of their card. The card with the focus stays, wherever it is.
   *
   * @param {number} first
   * @param {number} after
   */
  #wanted(first, after) {
    const indexes = new Set()
    const focusIndex = this.#hasFocus() && this.#currentId ? this.#history.indexOf(this.#currentId) : -1
    if (focusIndex >= 0 && focusIndex < first) indexes.add(focusIndex)
    for (let index = first; index < after; index++) indexes.add(index)
    if (focusIndex >= after) indexes.add(focusIndex)
    return new Map([...indexes].map((index) => [this.#history.idAt(index) ?? `skeleton ${index}`, index]))
  }

  /** @param {Map<string, number>} wanted */
  #place(wanted) {
    for (const [key, card] of this.#cards)
      if (!wanted.has(key)) {
        card.remove()
        this.#cards.delete(key)
        this.#spare.push(card)
      }
    if (!this.#currentId || this.#history.indexOf(this.#currentId) < 0) this.#currentId = this.#history.idAt(0)
    let next = this.#list.firstElementChild
    for (const [key, index] of wanted) {
      const card = this.#cards.get(key) ?? this.#take(key)
      this.#show(card, key, index)
      if (card === next) next = next.nextElementSibling
      else this.#list.insertBefore(card, next)
    }
  }

  /** @param {string} key */
  #take(key) {
    const card = this.#spare.pop() ?? new GenerationCardElement()
    card.surroundings = this.#surroundings
    this.#cards.set(key, card)
    return card
  }

  /**
   * @param {GenerationCardElement} card
   * @param {string} key
   * @param {number} index
   */
  #show(card, key, index) {
    card.isCurrent = key === this.#currentId
    card.place({
      ...this.#layout.placeOf(index),
      width: this.#layout.cardWidth,
      height: this.#layout.cardHeight,
      number: index + 1,
      count: this.#history.isComplete ? this.#history.length : -1,
    })
    card.show({
      generation: this.#history.at(index),
      thumbnail: this.#layout.thumbnailFor(devicePixelRatio),
      withPicture: !this.#isFlying,
      minute: Math.floor(Date.now() / MINUTE_MS),
    })
  }

  #hasFocus() {
    const root = this.#list.getRootNode()
    return root instanceof ShadowRoot && this.#list.contains(root.activeElement)
  }

  #scrolled = () => {
    const { scrollTop } = this.#scroller
    this.#isFlying = Math.abs(scrollTop - this.#lastTop) > FLYING_PX_A_FRAME
    this.#lastTop = scrollTop
    clearTimeout(this.#landing)
    if (this.#isFlying)
      this.#landing = setTimeout(() => {
        this.#isFlying = false
        this.schedule()
      }, LANDED_AFTER_MS)
    this.schedule()
  }

  #focused = (/** @type {FocusEvent} */ event) => {
    const id = event.target instanceof GenerationCardElement ? event.target.generation?.id : null
    if (!id || id === this.#currentId) return
    this.#currentId = id
    this.schedule()
  }

  #keyed = (/** @type {KeyboardEvent} */ event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.#currentId) return
    const by = this.#stepOf(event.key)
    if (by === 0) return
    event.preventDefault()
    const last = this.#history.length - 1
    const index = Math.max(0, Math.min(last, this.#history.indexOf(this.#currentId) + by))
    const id = this.#history.idAt(index)
    if (id) this.focus(id)
  }

  /**
   * How many cards a key goes on; 0 where it is not one of ours.
   *
   * @param {string} key
   */
  #stepOf(key) {
    const { columns, rowHeight } = this.#layout
    const onwards = getComputedStyle(this.#list).direction === 'rtl' ? -1 : 1
    const screen = Math.max(1, Math.floor(this.#scroller.clientHeight / rowHeight)) * columns
    /** @type {{ [key: string]: number }} */
    const steps = {
      ArrowRight: onwards,
      ArrowLeft: -onwards,
      ArrowDown: columns,
      ArrowUp: -columns,
      PageDown: screen,
      PageUp: -screen,
      Home: -Infinity,
      End: Infinity,
    }
    return steps[key] ?? 0
  }

  /** @param {number} index */
  #scrollTo(index) {
    const { top } = this.#layout.placeOf(index)
    const bottom = top + this.#layout.rowHeight
    const { scrollTop, clientHeight } = this.#scroller
    if (top < scrollTop) this.#scroller.scrollTop = top
    else if (bottom > scrollTop + clientHeight) this.#scroller.scrollTop = bottom - clientHeight
  }
}
