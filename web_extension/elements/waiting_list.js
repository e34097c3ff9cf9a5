/**
 * @import { Generation, Language, Told } from '../types.js'
 */

import { h, setText, setTold } from '../dom.js'
import { reasonOf } from '../reasons.js'
import { standingOf } from '../waiting_wording.js'
import { nameOf } from '../wording.js'

const SHOWN_AT_FIRST = 12
/** Reasons that say of each what its place says already. They are told of the first one. */
const TOLD_BY_PLACE = new Set(['next', 'turns'])

let reasons = 0

/** What waits, the next one first: the place of each and when it starts; why, told once for those that follow each other. */
export class WaitingList {
  #groups = h('div', { className: 'groups' })
  #all = h('button', { type: 'button', className: 'all', hidden: true })
  #more = h('p', { className: 'quiet', hidden: true })
  element = h('div', {}, this.#groups, this.#all, this.#more)
  #language
  /** @type {Generation[]} */
  #waiting = []
  #count = 0
  #showsAll = false
  #shown = ''

  /** @param {Language} language */
  constructor(language) {
    this.#language = language
    this.#all.addEventListener('click', () => {
      this.#showsAll = true
      this.draw()
      this.#groups.querySelectorAll('li')[SHOWN_AT_FIRST]?.focus()
    })
  }

  /**
   * @param {Generation[]} waiting the next ones, in the order of their turns
   * @param {number} count of all that wait
   */
  show(waiting, count) {
    this.#waiting = waiting
    this.#count = count
    this.draw()
  }

  /** Draws it for this moment. What stands there already is left alone: somebody may be reading it. */
  draw() {
    const { strings } = this.#language
    const shown = this.#showsAll ? this.#waiting : this.#waiting.slice(0, SHOWN_AT_FIRST)
    const rows = shown.map((generation, index) => this.#row(generation, index === 0))
    const drawn = JSON.stringify(rows)
    if (drawn !== this.#shown) this.#draw(rows)
    this.#shown = drawn
    const rest = this.#waiting.length - shown.length
    this.#all.hidden = rest === 0
    setText(this.#all, strings.say('quota.showAll', { count: rest }))
    const unread = Math.max(0, this.#count - this.#waiting.length)
    this.#more.hidden = unread === 0 || rest > 0
    setText(this.#more, strings.say('quota.more', { count: unread }))
  }

  /**
   * @param {Generation} generation
   * @param {boolean} isFirst
   * @returns {Row}
   */
  #row(generation, isFirst) {
    const { waiting } = generation
    const isTold = waiting && (isFirst || !TOLD_BY_PLACE.has(waiting.reason.code))
    return {
      id: generation.id,
      name: nameOf(generation, this.#language.strings),
      standing: standingOf(generation, this.#language, { besideReason: true }),
      reason: isTold ? reasonOf(waiting, this.#language) : null,
    }
  }

  /** @param {Row[]} rows */
  #draw(rows) {
    const focused = this.#groups.querySelector('li:focus')?.id
    this.#groups.replaceChildren(...inGroups(rows))
    for (const line of this.#groups.querySelectorAll('li')) if (line.id === focused) line.focus()
  }
}

/** @typedef {{ id: string, name: string, standing: string, reason: Told | null }} Row */

/** @param {Row[]} rows */
function inGroups(rows) {
  /** @type {HTMLElement[]} */
  const parts = []
  /** @type {string | undefined} */
  let before
  let list = h('ol')
  for (const { id, name, standing, reason } of rows) {
    if (parts.length === 0 || reason?.text !== before) {
      list = h('ol')
      if (reason) parts.push(lineOf(reason, list))
      parts.push(list)
      before = reason?.text
    }
    const words = [h('span', { className: 'name', textContent: name }), h('span', { className: 'state', textContent: standing })]
    list.append(h('li', { id: `waits-${id}`, tabIndex: -1 }, ...words))
  }
  return parts
}

/**
 * @param {Told} reason
 * @param {HTMLElement} list of those that wait for it
 */
function lineOf(reason, list) {
  const line = h('p', { id: `reason-${++reasons}`, className: 'reason' })
  setTold(line, reason)
  list.setAttribute('aria-labelledby', line.id)
  return line
}
