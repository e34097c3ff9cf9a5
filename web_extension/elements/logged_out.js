/**
 * @import { SidecarClient } from '../sidecar_client.js'
 * @import { Strings } from '../strings.js'
 */

import { h, sheet } from '../dom.js'
import { SidecarError } from '../sidecar_client.js'
import { dialogFrame } from '../styles/dialog_frame.js'
import { theme } from '../styles/theme.js'

const ASK_AGAIN_AFTER_MS = 5_000

const loggedOutStyles = sheet(`
  dialog { width: min(420px, calc(100vw - 32px)); padding: 20px; }
  h2 { margin: 0 0 8px; font-size: 17px; font-weight: 600; line-height: 24px; }
  p { margin: 0 0 20px; text-wrap: pretty; }
  div { display: flex; justify-content: flex-end; gap: 8px; }
  div > * { min-height: 36px; }
  a.button, a.button:hover { border-color: transparent; background: var(--genonaut-text); color: var(--genonaut-ground); }
`)

/**
 * Says that the session has ended while the page is open. ComfyUI takes that for a connection that is lost, and tries to
 * reconnect for ever.
 *
 * One logs in beside this page, on which nothing is lost: it goes on as soon as ComfyUI is connected again.
 */
export class LoggedOutElement extends HTMLElement {
  static define(tag = 'genonaut-logged-out', registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this)
  }

  #client
  #dialog
  /** @type {Promise<string | null>} */
  #whose = Promise.resolve(null)
  /** @type {Window | null} */
  #beside = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #askingAgain

  /**
   * @param {{ client: SidecarClient, strings: Strings }} surroundings
   * @param {string} entrance where one logs in: ComfyUI's own page, as long as nobody has
   */
  constructor({ client, strings }, entrance) {
    super()
    this.#client = client
    const logIn = h('a', { className: 'button', href: entrance, target: '_blank', textContent: strings.say('loggedOut.logIn') })
    const later = h('button', { type: 'button', textContent: strings.say('loggedOut.later') })
    this.#dialog = h(
      'dialog',
      {},
      h('h2', { id: 'title', textContent: strings.say('loggedOut.title') }),
      h('p', { id: 'text', textContent: strings.say('loggedOut.text') }),
      h('div', {}, later, logIn),
    )
    this.#dialog.setAttribute('aria-labelledby', 'title')
    this.#dialog.setAttribute('aria-describedby', 'text')
    logIn.autofocus = true
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [theme, dialogFrame, loggedOutStyles]
    root.append(this.#dialog)
    logIn.addEventListener('click', (event) => this.#openBeside(event, entrance))
    later.addEventListener('click', () => this.#dialog.close())
    // ComfyUI's own shortcuts are not meant while this is open.
    this.#dialog.addEventListener('keydown', (event) => event.stopPropagation())
  }

  connectedCallback() {
    this.#whose = this.#ask().catch(() => null)
  }

  disconnectedCallback() {
    clearTimeout(this.#askingAgain)
  }

  /** ComfyUI has lost its connection: because nobody is logged in any more? Asked until somebody says so or not. */
  async connectionLost() {
    clearTimeout(this.#askingAgain)
    try {
      await this.#ask()
    } catch (error) {
      if (!(error instanceof SidecarError)) throw error
      if (error.isLoggedOut && !this.#dialog.open) this.#dialog.showModal()
      if (error.isAway) this.#askingAgain = setTimeout(() => this.connectionLost(), ASK_AGAIN_AFTER_MS)
    }
  }

  /** ComfyUI is connected again. Who logged in as somebody else must not go on with what the page still shows. */
  async connectionBack() {
    clearTimeout(this.#askingAgain)
    this.#dialog.close()
    this.#beside?.close()
    this.#beside = null
    const [before, now] = await Promise.all([this.#whose, this.#ask().catch(() => null)])
    if (before && now && before !== now) location.reload()
  }

  /** Who is logged in. */
  async #ask() {
    return (await this.#client.me()).id
  }

  /**
   * As the link would, but so that it can be closed when it is not needed any more.
   *
   * @param {MouseEvent} event
   * @param {string} entrance
   */
  #openBeside(event, entrance) {
    const opened = window.open(entrance, '_blank')
    if (!opened) return // the browser does not let us: then the link does
    event.preventDefault()
    this.#beside = opened
  }
}
