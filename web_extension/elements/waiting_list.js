/**
 * @import { Language } from '../quota_wording.js'
 * @import { Generation } from '../types.js'
 */

import { h, setText } from '../dom.js'
import { heldOf } from '../quota_wording.js'
import { nameOf, stateOf } from '../wording.js'

const SHOWN_AT_FIRST = 12

let reasons = 0

/** What waits, the next one first: the place of each, and why and until when, told once for those that follow each other. */
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
   * @param {Generation[]} waiting as many as were read
   * @param {number} count of all that wait
   */
  show(waiting, count) {
    this.#waiting = [...waiting].sort(byTurn)
    this.#count = count
    this.draw()
  }

  /** Draws it for this moment. What stands there already is left alone: somebody may be reading it. */
  draw() {
    const { strings } = this.#language
    const shown = this.#showsAll ? this.#waiting : this.#waiting.slice(0, SHOWN_AT_FIRST)
    const rows = withWhatIsTold(shown.map((generation) => this.#row(generation)))
    const drawn = JSON.stringify(rows)
    if (drawn !== this.#shown) this.#groups.replaceChildren(...inGroups(rows))
    this.#shown = drawn
    const rest = this.#waiting.length - shown.length
    this.#all.hidden = rest === 0
    setText(this.#all, strings.say('quota.showAll', { count: rest }))
    const unread = Math.max(0, this.#count - this.#waiting.length)
    this.#more.hidden = unread === 0 || rest > 0
    setText(this.#more, strings.say('quota.more', { count: unread }))
  }

  /** @param {Generation} generation */
  #row(generation) {
    const { strings, formats } = this.#language
    return {
      name: nameOf(generation, strings),
      state: heldOf(generation, this.#language) || stateOf(generation, strings, formats).text,
      reason: generation.waiting?.why ?? generation.waiting_reason ?? '',
      isHeld: generation.waiting_reason !== null,
    }
  }
}

/** @typedef {{ name: string, state: string, reason: string, isHeld: boolean }} Row */

/**
 * Leaves out the reasons that say no more than the place does: those of which each has its own.
 *
 * @param {Row[]} rows
 * @returns {Row[]}
 */
function withWhatIsTold(rows) {
  return rows.map((row, index) => {
    const isShared = [rows[index - 1], rows[index + 1]].some((neighbour) => neighbour?.reason === row.reason)
    return row.isHeld || isShared || rows.length === 1 ? row : { ...row, reason: '' }
  })
}

/** @param {Row[]} rows */
function inGroups(rows) {
  /** @type {HTMLElement[]} */
  const parts = []
  /** @type {string | null} */
  let before = null
  let list = h('ol')
  for (const { name, state, reason } of rows) {
    if (reason !== before) {
      list = h('ol')
      if (reason) parts.push(reasonOf(reason, list))
      parts.push(list)
      before = reason
    }
    const words = [h('span', { className: 'name', textContent: name }), h('span', { className: 'state', textContent: state })]
    list.append(h('li', { tabIndex: -1 }, ...words))
  }
  return parts
}

/**
 * @param {string} reason
 * @param {HTMLElement} list of those that wait for it
 */
function reasonOf(reason, list) {
  const id = `reason-${++reasons}`
  list.setAttribute('aria-labelledby', id)
  return h('p', { id, className: 'reason', lang: 'en', textContent: reason }) // the sidecar's sentences are English
}

/**
 * @param {Generation} one
 * @param {Generation} other
 */
function byTurn(one, other) {
  return (
    (one.place ?? Infinity) - (other.place ?? Infinity) ||
    Date.parse(one.not_before ?? one.created_at) - Date.parse(other.not_before ?? other.created_at) ||
    one.number - other.number
  )
}
