/**
 * What a limit is and how much of it is used, in words for people. The one place that decides them.
 *
 * @import { Formats } from './format.js'
 * @import { Strings } from './strings.js'
 * @import { Language, Quota, QuotaLimit, QuotaWarning } from './types.js'
 */

import { atTime, countedDown } from './moments.js'

const LEVELS = /** @type {const} */ ([100, 80])

/**
 * Which limit it is: its name and whose it is.
 *
 * @param {{ name: string, group: string | null }} limit
 */
export function keyOf({ name, group }) {
  return `${name} ${group ?? ''}`
}

/**
 * How much of it is used, 0 to 1; 0 where nothing of it can be used up. Of nothing all is used.
 *
 * @param {QuotaLimit} limit
 */
export function fractionOf({ used, allowed }) {
  if (used === null) return 0
  return allowed === 0 ? 1 : Math.min(1, used / allowed)
}

/**
 * The highest of the percentages that people are warned of that it has come to. What is only there at once, such as
 * what waits, comes and goes, and nobody is warned of it.
 *
 * @param {QuotaLimit} limit
 * @returns {0 | 80 | 100}
 */
export function levelOf(limit) {
  const isUsedUp = limit.window_s !== null || limit.unit === 'bytes'
  if (!isUsedUp) return 0
  return LEVELS.find((level) => fractionOf(limit) * 100 >= level) ?? 0
}

/**
 * @param {Quota} quota
 * @returns {0 | 80 | 100}
 */
export function highestLevelOf({ limits }) {
  const levels = limits.map(levelOf)
  return LEVELS.find((level) => levels.includes(level)) ?? 0
}

/**
 * How much is used of what is nearest to its end, where people are warned of it.
 *
 * @param {Quota} quota
 * @param {Formats} formats
 * @returns {string | null}
 */
export function nearlyUsedUp({ limits }, formats) {
  const fractions = limits.filter((limit) => levelOf(limit) > 0).map(fractionOf)
  return fractions.length ? formats.percent(Math.floor(Math.max(...fractions) * 100) / 100) : null
}

/**
 * "7 of 10"
 *
 * @param {QuotaLimit} limit
 * @param {Language} language
 */
export function amountOf({ used, allowed, unit }, { strings, formats }) {
  return strings.say('quota.amount', { used: measured(used ?? 0, unit, formats), allowed: measured(allowed, unit, formats) })
}

/**
 * "7 of 10 generations in the last hour; the next one is free at 14:32"
 *
 * @param {QuotaLimit} limit
 * @param {Language} language
 * @param {number} [now] unix milliseconds
 */
export function spoken(limit, language, now = Date.now()) {
  const { strings, formats } = language
  const used = measured(limit.used ?? 0, limit.unit, formats)
  const amount = strings.say(`quota.spoken.${limit.name}`, { used, allowed: measured(limit.allowed, limit.unit, formats) })
  const later = laterOf(limit, language, now)
  return later ? strings.say('quota.spokenWith', { amount, later }) : amount
}

/**
 * When there is room again, and how long that is from now: "The next one is free at 14:32, in 12 min". Empty where
 * nothing comes back by itself.
 *
 * @param {QuotaLimit} limit
 * @param {Language} language
 * @param {number} [now]
 */
export function refillOf(limit, language, now = Date.now()) {
  const { strings } = language
  if (limit.unit === 'bytes' && levelOf(limit) === 100) return strings.say('quota.storageFull')
  const later = laterOf(limit, language, now)
  const moment = momentOf(limit)
  return later && moment ? countedDown(capitalised(later, strings), moment, language, now) : ''
}

/**
 * What one generation may be at most.
 *
 * @param {QuotaLimit} limit
 * @param {Language} language
 */
export function boundOf({ allowed, unit }, { strings, formats }) {
  return unit === 'pixels'
    ? strings.say('quota.megapixels', { count: formats.number(allowed / 1_000_000) })
    : strings.say('quota.atMost', { count: allowed })
}

/**
 * How it stands, and what that means for what somebody does next.
 *
 * @param {QuotaWarning} warning
 * @param {QuotaLimit} limit as it stands now
 * @param {Quota['over_limit']} overLimit
 * @param {Language} language
 * @param {number} [now]
 * @returns {{ summary: string, detail: string }}
 */
export function warningText({ percent }, limit, overLimit, language, now = Date.now()) {
  const { strings } = language
  const sentence = strings.say('quota.warning', { sentence: spoken(limit, language, now), advice: adviceOf(percent, limit, overLimit, strings, now) })
  const detail = limit.group ? strings.say('quota.warningOfGroup', { group: limit.group, sentence }) : sentence
  return { summary: strings.say(percent === 100 ? 'quota.warning100' : 'quota.warning80'), detail }
}

/**
 * @param {QuotaWarning['percent']} percent
 * @param {QuotaLimit} limit
 * @param {Quota['over_limit']} overLimit
 * @param {Strings} strings
 * @param {number} now
 */
function adviceOf(percent, limit, overLimit, strings, now) {
  if (limit.unit === 'bytes') return strings.say('quota.storageFull')
  if (percent === 80) return strings.say(`quota.beyond.${overLimit}`)
  const moment = momentOf(limit)
  return moment && Date.parse(moment) > now ? strings.say(`quota.usedUp.${overLimit}`) : strings.say('quota.askForMore')
}

/**
 * @param {QuotaLimit} limit
 * @param {Language} language
 * @param {number} now
 */
function laterOf(limit, language, now) {
  const moment = momentOf(limit)
  if (!moment || Date.parse(moment) <= now) return ''
  const { strings } = language
  const when = atTime(moment, language, now)
  if (!limit.next_free_at) return strings.say('quota.refills', { when })
  return strings.say(limit.unit === 'gpu_seconds' ? 'quota.roomAgain' : 'quota.nextFree', { when })
}

/** @param {QuotaLimit} limit */
function momentOf({ next_free_at: nextFreeAt, refills_at: refillsAt }) {
  return nextFreeAt ?? refillsAt
}

/**
 * @param {number} value
 * @param {QuotaLimit['unit']} unit
 * @param {Formats} formats
 */
function measured(value, unit, formats) {
  if (unit === 'bytes') return formats.gigabytes(value)
  return unit === 'gpu_seconds' ? formats.duration(value) : formats.number(value)
}

/**
 * @param {string} text
 * @param {Strings} strings
 */
function capitalised(text, { locale }) {
  return text.charAt(0).toLocaleUpperCase(locale) + text.slice(1)
}
