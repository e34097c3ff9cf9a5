/**
 * @import { Language, UsageDay } from '../types.js'
 */

import { h } from '../dom.js'

export const DAYS = 7
const DAY_MS = 86_400_000

/** The last days, today last: small bars for who sees them, a table for who has it read out. */
export class UsageDays {
  #bars = h('div', { className: 'bars', ariaHidden: 'true' })
  #total = h('p', { className: 'quiet' })
  #table = h('table')
  // A table is as wide as its content, however narrow it shall be.
  #read = h('div', { className: 'visually-hidden' }, this.#table)
  element = h('div', { className: 'usage' }, this.#bars, this.#total, this.#read)
  #language
  #shown = ''

  /** @param {Language} language */
  constructor(language) {
    this.#language = language
  }

  /** @param {UsageDay[]} items days without anything may be left out */
  show(items) {
    const days = lastDays().map((key) => items.find((item) => item.key === key) ?? { key, generations: 0, gpu_seconds: 0 })
    const drawn = JSON.stringify(days)
    if (drawn === this.#shown) return
    this.#shown = drawn
    const { strings, formats } = this.#language
    const count = days.reduce((sum, day) => sum + day.generations, 0)
    const seconds = days.reduce((sum, day) => sum + day.gpu_seconds, 0)
    const total = strings.say('quota.usageTotal', { count, duration: formats.duration(seconds) })
    this.#bars.hidden = count === 0
    this.#total.textContent = count === 0 ? strings.say('quota.usageEmpty') : total
    this.#read.hidden = count === 0
    this.#drawBars(days)
    this.#drawTable(days)
  }

  /** @param {Pick<UsageDay, 'key' | 'generations' | 'gpu_seconds'>[]} days */
  #drawBars(days) {
    const { formats } = this.#language
    const most = Math.max(1, ...days.map((day) => day.generations))
    this.#bars.replaceChildren(
      ...days.map(({ key, generations }) => {
        const bar = h('span', { className: 'column' })
        bar.style.height = `${(generations / most) * 100}%`
        const number = h('span', { className: 'count', textContent: generations ? formats.number(generations) : '' })
        const weekday = h('span', { className: 'weekday', textContent: formats.weekdayInUtc(key) })
        return h('div', { className: 'day' }, number, h('div', { className: 'space' }, bar), weekday)
      }),
    )
  }

  /** @param {Pick<UsageDay, 'key' | 'generations' | 'gpu_seconds'>[]} days */
  #drawTable(days) {
    const { strings, formats } = this.#language
    const head = ['quota.day', 'quota.generations', 'quota.gpuTime'].map((key) =>
      h('th', { scope: 'col', textContent: strings.say(key) }),
    )
    const rows = days.map((day) =>
      h(
        'tr',
        {},
        h('th', { scope: 'row', textContent: formats.dayInUtc(day.key) }),
        h('td', { textContent: formats.number(day.generations) }),
        h('td', { textContent: formats.duration(day.gpu_seconds) }),
      ),
    )
    this.#table.replaceChildren(
      h('caption', { textContent: strings.say('quota.usageCaption') }),
      h('thead', {}, h('tr', {}, ...head)),
      h('tbody', {}, ...rows),
    )
  }
}

/** The moment at which the first of them began: days are those of UTC, as the sidecar counts them. */
export function beginningOfDays() {
  return new Date(`${lastDays()[0]}T00:00:00Z`)
}

function lastDays() {
  const now = Date.now()
  return Array.from({ length: DAYS }, (_, index) => new Date(now - (DAYS - 1 - index) * DAY_MS).toISOString().slice(0, 10))
}
