/** @import { Language, Told } from '../types.js' */

import { h, setTold } from '../dom.js'
import { icon } from '../icons.js'
import { refusalOf } from '../reasons.js'
import { SidecarError } from '../sidecar_client.js'

/** The line above a panel that says what is wrong, and what becomes of it. Its looks are in `styles/notice.js`. */
export class Notice {
  element = h('div', { className: 'notice', role: 'status', hidden: true })
  #language

  /** @param {Language} language */
  constructor(language) {
    this.#language = language
  }

  /**
   * Why the sidecar cannot be asked.
   *
   * @param {SidecarError} error
   */
  tell(error) {
    const { strings } = this.#language
    if (error.isLoggedOut) {
      this.#say({ text: strings.say('trouble.loggedOut'), lang: strings.locale })
      if (this.element.querySelector('button')) return
      // ComfyUI's page is the page to log in on, as long as nobody is logged in.
      const logIn = h('button', { type: 'button', textContent: strings.say('trouble.logIn') })
      logIn.addEventListener('click', () => location.reload())
      this.element.append(logIn)
    } else if (error.isAway) this.#say({ text: strings.say('trouble.away'), lang: strings.locale })
    else this.#say(refusalOf(error, this.#language), strings.say('trouble.error'))
  }

  /**
   * What came of something that somebody wanted.
   *
   * @param {SidecarError} error
   */
  refuse(error) {
    this.#say(refusalOf(error, this.#language), '')
  }

  hide() {
    this.element.hidden = true
  }

  /**
   * @param {Told} told
   * @param {string} [after] what is said after something that is bad
   */
  #say(told, after) {
    const isBad = after !== undefined
    const sentence = h('span')
    setTold(sentence, told)
    const words = h('span', { className: 'words' }, sentence, ...(after ? [' ', after] : []))
    this.element.classList.toggle('bad', isBad)
    // What stands there already is not read out once more.
    if (this.element.querySelector('.words')?.textContent !== words.textContent)
      this.element.replaceChildren(icon(isBad ? 'failed' : 'pending'), words)
    this.element.hidden = false
  }
}
