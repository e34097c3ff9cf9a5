/**
 * @import { LiveEvents } from '../live_events.js'
 * @import { Surroundings } from './generation_card.js'
 */

import { keepFromCanvas, keepNoMore } from '../canvas_events.js'
import { noticeStyles } from '../styles/notice.js'
import { panelStyles } from '../styles/panel.js'
import { theme } from '../styles/theme.js'

/**
 * One life of a panel, from entering the document to leaving it.
 *
 * @typedef {{ start(): void, stop(): void }} Life
 */

/**
 * What a tab of ComfyUI's sidebar shows.
 *
 * Set `surroundings` and `liveEvents` before it enters the document. It reads and listens while it is in a document, and
 * leaves nothing behind when it is taken out.
 */
export class PanelElement extends HTMLElement {
  /** @type {Surroundings | null} */
  surroundings = null
  /** @type {LiveEvents | null} */
  liveEvents = null

  /** @type {Life | null} */
  #life = null

  /** @param {CSSStyleSheet} styles of what it shows */
  constructor(styles) {
    super()
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets = [theme, panelStyles, noticeStyles, styles]
  }

  /**
   * What it shows from now on. Each panel says for itself.
   *
   * @param {ShadowRoot} _root
   * @param {Surroundings} _surroundings
   * @param {LiveEvents} _liveEvents
   * @returns {Life}
   */
  begin(_root, _surroundings, _liveEvents) {
    throw new Error('A panel has to say what it shows.')
  }

  connectedCallback() {
    if (this.#life || !this.shadowRoot || !this.surroundings || !this.liveEvents) return
    keepFromCanvas(this)
    this.#life = this.begin(this.shadowRoot, this.surroundings, this.liveEvents)
    this.#life.start()
  }

  disconnectedCallback() {
    keepNoMore(this)
    this.#life?.stop()
    this.#life = null
    this.shadowRoot?.replaceChildren()
  }
}
