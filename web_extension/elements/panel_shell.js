/** @import { Language } from '../types.js' */

import { h, setText } from '../dom.js'
import { SidecarError } from '../sidecar_client.js'
import { Notice } from './notice.js'

const TRY_AGAIN_AFTER_S = 4
const TRY_AGAIN_AT_LATEST_S = 10

/**
 * What is around every panel: its heading, the line that says what is wrong, and what only screen readers hear. What
 * cannot be read is tried again by itself. Its looks are in `styles/panel.js`.
 *
 * @fires change - something went wrong that did not before, or it is well again
 */
export class PanelShell extends EventTarget {
  element = h('section')
  #notice
  #status = h('div', { className: 'visually-hidden', role: 'status' })
  #refresh
  /** @type {SidecarError | null} */
  #failure = null
  /** @type {SidecarError | null} */
  #heard = null
  /** @type {SidecarError | null} */
  #refusal = null
  #failures = 0
  #isStopped = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry

  /**
   * @param {object} parts
   * @param {Language} parts.surroundings
   * @param {string} parts.title
   * @param {() => void} parts.refresh reads everything anew, within an `attempt`, and says when it has (`recovered`)
   */
  constructor({ surroundings, title, refresh }) {
    super()
    this.#notice = new Notice(surroundings)
    this.#refresh = refresh
    this.heading = h('h2', { id: 'heading', textContent: title })
    this.element.setAttribute('aria-labelledby', this.heading.id)
  }

  /**
   * @param {Node} beside the heading
   * @param {...Node} below
   */
  build(beside, ...below) {
    this.element.replaceChildren(h('header', {}, this.heading, beside), this.#notice.element, ...below, this.#status)
  }

  stop() {
    this.#isStopped = true
    clearTimeout(this.#retry)
  }

  get isStopped() {
    return this.#isStopped
  }

  /** Why something cannot be read; null while all can. */
  get trouble() {
    return this.#heard ?? this.#failure
  }

  /**
   * Does something that reads from the sidecar. Where it fails, says so, and reads everything anew later.
   *
   * @param {() => Promise<void>} reading
   */
  async attempt(reading) {
    try {
      await reading()
    } catch (error) {
      if (this.#isStopped) return
      if (!(error instanceof SidecarError)) throw error
      this.#failed(error)
    }
  }

  /** Everything was read. */
  recovered() {
    this.#failures = 0
    clearTimeout(this.#retry)
    this.#take(this.#heard, null)
  }

  /**
   * What somebody else cannot read, and tries again; null when they can.
   *
   * @param {SidecarError | null} error
   */
  hear(error) {
    this.#take(error, this.#failure)
  }

  /**
   * What was refused of what somebody wanted last; null where nothing was.
   *
   * @param {SidecarError | null} error
   */
  set refusal(error) {
    this.#refusal = error
    this.#draw()
  }

  /**
   * To screen readers alone: who looks sees it.
   *
   * @param {string} sentence
   */
  announce(sentence) {
    setText(this.#status, sentence)
  }

  /** @param {SidecarError} error */
  #failed(error) {
    const wait = Math.min(TRY_AGAIN_AT_LATEST_S, error.retryAfterS ?? TRY_AGAIN_AFTER_S * 2 ** this.#failures)
    this.#failures += 1
    clearTimeout(this.#retry)
    this.#retry = setTimeout(this.#refresh, wait * 1000)
    this.#take(this.#heard, error)
  }

  /**
   * @param {SidecarError | null} heard
   * @param {SidecarError | null} failure
   */
  #take(heard, failure) {
    const before = this.trouble
    this.#heard = heard
    this.#failure = failure
    if (this.#isStopped || before === this.trouble) return
    this.#draw()
    this.dispatchEvent(new Event('change'))
  }

  #draw() {
    if (this.trouble) this.#notice.tell(this.trouble)
    else if (this.#refusal) this.#notice.refuse(this.#refusal)
    else this.#notice.hide()
  }
}
