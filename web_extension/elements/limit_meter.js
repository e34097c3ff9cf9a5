/**
 * @import { Language, QuotaLimit } from '../types.js'
 */

import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { amountOf, fractionOf, levelOf, refillOf, spoken } from '../quota_wording.js'

let meters = 0

/** One line of a list: a limit, how much of it is used, and when there is room again. */
export class LimitMeter {
  element
  #name = h('span', { className: 'name', id: `meter-${++meters}` })
  #amount = h('span', { className: 'amount' })
  #done = h('div', { className: 'done' })
  #bar = h('div', { className: 'bar', role: 'meter', ariaValueMin: '0' }, this.#done)
  #sign = h('span', { className: 'sign', hidden: true })
  #refill = h('span')
  #later = h('div', { className: 'later' }, this.#sign, this.#refill)
  #language

  /** @param {Language} language */
  constructor(language) {
    this.#language = language
    this.#bar.setAttribute('aria-labelledby', this.#name.id)
    this.element = h('li', {}, h('div', { className: 'line' }, this.#name, this.#amount), this.#bar, this.#later)
  }

  /** @param {QuotaLimit} limit */
  show(limit) {
    const { strings } = this.#language
    const level = levelOf(limit)
    const fraction = fractionOf(limit)
    setText(this.#name, strings.say(`quota.names.${limit.name}`))
    setText(this.#amount, amountOf(limit, this.#language))
    this.#bar.ariaValueMax = String(limit.allowed)
    this.#bar.ariaValueNow = String(fraction * limit.allowed)
    this.#bar.setAttribute('aria-valuetext', spoken(limit, this.#language))
    this.#done.style.transform = `scaleX(${fraction})`
    this.element.dataset.level = String(level)
    this.#sign.hidden = level === 0
    if (level && this.#sign.dataset.level !== String(level))
      this.#sign.replaceChildren(icon(level === 100 ? 'failed' : 'pending'), strings.say(`quota.level${level}`))
    this.#sign.dataset.level = String(level)
    setText(this.#refill, refillOf(limit, this.#language))
    this.#later.hidden = this.#sign.hidden && !this.#refill.textContent
  }
}
