/**
 * Moments that somebody waits for, in words. The one place that decides them.
 *
 * @import { Language, Moments } from './types.js'
 */

import { onOneLine } from './format.js'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** So near, a time of the clock says which moment it is, also past midnight. */
const CLOCK_UP_TO_HOURS = 12
const EXACT_UP_TO_MINUTES = 120
const WEEKDAYS_UP_TO_DAYS = 6
/** What may take so many times as long as expected is a guess, and its bounds tell nobody anything. */
const ROUGH_FROM = 4

/**
 * "14:32"; "Sunday 09:15"; what is a week away is a day.
 *
 * @param {string} moment RFC 3339
 * @param {Language} language
 * @param {number} now unix milliseconds
 */
export function timeOf(moment, { strings, formats }, now) {
  const time = formats.clock(moment)
  if (isNear(moment, now)) return time
  if (Date.parse(moment) - now > WEEKDAYS_UP_TO_DAYS * DAY_MS) return formats.day(moment)
  return strings.say('moment.dayAndTime', { day: formats.weekday(moment), time })
}

/**
 * "at 14:32"; "on Sunday at 09:15"
 *
 * @param {string} moment RFC 3339
 * @param {Language} language
 * @param {number} now
 */
export function atTime(moment, { strings, formats }, now) {
  const time = formats.clock(moment)
  return isNear(moment, now)
    ? strings.say('moment.today', { time })
    : strings.say('moment.onDay', { day: formats.weekday(moment), time })
}

/**
 * The earliest and the latest, where they differ as people read them: "14:30 to 14:40". Empty where they do not; where
 * they are far from each other, that it is a guess.
 *
 * @param {Moments} moments
 * @param {Language} language
 * @param {number} now
 */
export function rangeOf({ likely, earliest, latest }, language, now) {
  if (Date.parse(latest) - now > ROUGH_FROM * Math.max(MINUTE_MS, Date.parse(likely) - now)) return language.strings.say('moment.rough')
  const from = timeOf(new Date(Math.max(Date.parse(earliest), now)).toISOString(), language, now)
  const to = timeOf(latest, language, now)
  return from === to ? '' : onOneLine(language.strings.say('moment.range', { from, to }))
}

/**
 * In whole minutes, and what is further away in hours: what changes each second is looked at, not what is beside it.
 *
 * @param {string} sentence
 * @param {string} moment RFC 3339
 * @param {Language} language
 * @param {number} now
 */
export function countedDown(sentence, moment, { strings, formats }, now) {
  const minutes = Math.ceil((Date.parse(moment) - now) / MINUTE_MS)
  if (minutes < 2) return strings.say('moment.soon', { sentence })
  const seconds = minutes < EXACT_UP_TO_MINUTES ? minutes * 60 : Math.round(minutes / 60) * 3600
  return strings.say('moment.in', { sentence, duration: formats.duration(seconds) })
}

/**
 * Is it less than a minute away, or over?
 *
 * @param {string} moment RFC 3339
 * @param {number} now
 */
export function isSoon(moment, now) {
  return Date.parse(moment) - now < MINUTE_MS
}

/**
 * Is it today, or so near that nobody takes it for another day's?
 *
 * @param {string} moment RFC 3339
 * @param {number} now
 */
function isNear(moment, now) {
  const isToday = new Date(moment).toDateString() === new Date(now).toDateString()
  return isToday || Math.abs(Date.parse(moment) - now) < CLOCK_UP_TO_HOURS * HOUR_MS
}
