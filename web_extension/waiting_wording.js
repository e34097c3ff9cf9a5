/**
 * How it stands with what waits, in words for people. The one place that decides them.
 *
 * @import { Generation, Language, Moments } from './types.js'
 */

import { countedDown, isSoon, rangeOf, timeOf } from './moments.js'

/** Reasons for which it does not go on even if its turn comes. */
const STANDSTILLS = new Set(['paused', 'no_instance', 'no_instance_with', 'running_at_once'])

/**
 * How many are ahead and when it starts, or what it waits for instead: "3 ahead, starts about 14:32".
 *
 * @param {Generation} generation one that waits
 * @param {Language} language
 * @param {{ besideReason?: boolean, now?: number }} [how] whether its reason stands beside it: then it need not be said, and
 *   there is room for more about its moments
 */
export function standingOf(generation, language, { besideReason = false, now = Date.now() } = {}) {
  const { strings } = language
  const { place, place_at_least: atLeast, waiting } = generation
  if (waiting && !besideReason && STANDSTILLS.has(waiting.reason.code)) return strings.say(`waiting.${waiting.reason.code}`)
  if (waiting?.held_until && Date.parse(waiting.held_until) > now) return heldOf(waiting.held_until, language, besideReason, now)
  if (atLeast !== undefined) return strings.say('waiting.atLeast', { count: atLeast })
  if (place === null) return strings.say('state.pending')
  const starts = waiting?.starts_at ? startOf(waiting.starts_at, language, besideReason, now) : ''
  if (place === 0) return starts ? strings.say('waiting.nextWith', { starts }) : strings.say('waiting.next')
  return starts ? strings.say('waiting.aheadWith', { count: place, starts }) : strings.say('waiting.ahead', { count: place })
}

/**
 * "starts about 14:32 (14:30 to 14:40)". Empty where it is so soon that nobody would look at the clock.
 *
 * @param {Moments} moments
 * @param {Language} language
 * @param {boolean} isRangeTold
 * @param {number} now
 */
function startOf(moments, language, isRangeTold, now) {
  const { strings } = language
  const range = isRangeTold ? rangeOf(moments, language, now) : ''
  if (isSoon(moments.likely, now)) return range ? strings.say('waiting.startsSoon', { range }) : ''
  const time = timeOf(moments.likely, language, now)
  return range ? strings.say('waiting.startsWith', { time, range }) : strings.say('waiting.starts', { time })
}

/**
 * "Held until 14:32"; counted down where there is room for it.
 *
 * @param {string} moment RFC 3339
 * @param {Language} language
 * @param {boolean} isCountedDown
 * @param {number} now
 */
function heldOf(moment, language, isCountedDown, now) {
  const sentence = language.strings.say('waiting.held', { when: timeOf(moment, language, now) })
  return isCountedDown ? countedDown(sentence, moment, language, now) : sentence
}
