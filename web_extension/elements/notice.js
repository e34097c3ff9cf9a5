/** @import { Strings } from '../strings.js' */

import { h } from '../dom.js'
import { icon } from '../icons.js'
import { SidecarError } from '../sidecar_client.js'

/** The line above a panel that says what is wrong, and what becomes of it. Its looks are in `styles/notice.js`. */
export class Notice {
  element = h('div', { className: 'notice', role: 'status', hidden: true })
  #strings

  /** @param {Strings} strings */
  constructor(strings) {
    this.#strings = strings
  }

  /**
   * Why the sidecar cannot be asked.
   *
   * @param {SidecarError} error
   */
  tell(error) {
    const strings = this.#strings
    if (error.isLoggedOut) {
      this.say(strings.say('trouble.loggedOut'), { isBad: false })
      if (this.element.querySelector('button')) return
      // ComfyUI's page is the page to log in on, as long as nobody is logged in.
      const logIn = h('button', { type: 'button', textContent: strings.say('trouble.logIn') })
      logIn.addEventListener('click', () => location.reload())
      this.element.append(logIn)
    } else if (error.isAway) this.say(strings.say('trouble.away'), { isBad: false })
    else this.say(strings.say('trouble.error', { sentence: error.message }), { isBad: true })
  }

  /**
   * @param {string} sentence
   * @param {{ isBad: boolean }} how
   */
  say(sentence, { isBad }) {
    const said = this.element.querySelector('span')?.textContent
    this.element.classList.toggle('bad', isBad)
    if (said !== sentence)
      this.element.replaceChildren(icon(isBad ? 'failed' : 'pending'), h('span', { textContent: sentence }))
    this.element.hidden = false
  }

  hide() {
    this.element.hidden = true
  }
}
