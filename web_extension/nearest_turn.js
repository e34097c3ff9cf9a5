/** @import { Generation, Language } from './types.js' */

import { standingOf } from './waiting_wording.js'
import { nameOf } from './wording.js'

/** Whoever has it read out wants to hear that it comes nearer, and not all the time. */
const SAID_EVERY_MS = 20_000

/** Says of the next one of one's own how its turn comes nearer, at most now and then. */
export class NearestTurn {
  #say
  #language
  #latest = ''
  /** Null: nobody has looked yet. @type {string | null} */
  #said = null
  #saidAt = -Infinity
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer

  /**
   * @param {(sentence: string) => void} say
   * @param {Language} language
   */
  constructor(say, language) {
    this.#say = say
    this.#language = language
  }

  /** @param {Generation | undefined} first of what somebody waits for */
  show(first) {
    const { strings } = this.#language
    this.#latest = first ? strings.say('waiting.moved', { name: nameOf(first, strings), standing: standingOf(first, this.#language) }) : ''
    this.#said ??= this.#latest // it stands there, and was read out with all the rest
    if (this.#latest === this.#said) return
    this.#timer ??= setTimeout(() => this.#tell(), Math.max(0, this.#saidAt + SAID_EVERY_MS - Date.now()))
  }

  stop() {
    clearTimeout(this.#timer)
  }

  #tell() {
    this.#timer = undefined
    if (this.#latest === this.#said) return
    this.#said = this.#latest
    this.#saidAt = Date.now()
    if (this.#latest) this.#say(this.#latest)
  }
}
