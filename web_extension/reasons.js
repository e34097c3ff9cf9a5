/**
 * Why something waits or was refused, in the reader's language: by the code and the facts that the sidecar tells. What
 * nobody here has heard of is told in the sidecar's own words, which are English.
 *
 * @import { SidecarError } from './sidecar_client.js'
 * @import { Language, Told, Waiting } from './types.js'
 */

import { atTime } from './moments.js'

/** @typedef {{ [name: string]: any }} Facts */

/** @type {{ [code: string]: (facts: Facts, language: Language) => string }} */
const REASONS = {
  paused: ({ reason }, { strings }) => (reason ? strings.say('reason.pausedFor', { reason }) : strings.say('reason.paused')),
  limit: (facts, language) => language.strings.say('reason.limit', { allowance: allowanceOf(facts, language) }),
  behind_own: (_, { strings }) => strings.say('reason.behindOwn'),
  running_at_once: ({ allowed }, { strings }) => strings.say('reason.runningAtOnce', { count: allowed }),
  no_instance_with: lackOf,
  no_instance: (_, { strings }) => strings.say('reason.noInstance'),
  waiting_for_retry: (_, { strings }) => strings.say('reason.waitingForRetry'),
  next: (_, { strings }) => strings.say('reason.next'),
  turns: turnsOf,
}

/** @type {{ [code: string]: (error: SidecarError, language: Language, now: number) => string }} */
const REFUSALS = {
  limit_reached: limitReached,
  waiting_room_full: ({ facts }, { strings }) =>
    facts.limit ? strings.say('refusal.waitingAtMost', { count: facts.allowed }) : strings.say('refusal.waitingRoomFull'),
}

/**
 * Why it waits.
 *
 * @param {Waiting} waiting
 * @param {Language} language
 * @returns {Told}
 */
export function reasonOf({ reason, why }, language) {
  const say = REASONS[reason.code]
  return say ? { text: say(reason.facts, language), lang: language.strings.locale } : inEnglish(why)
}

/**
 * Why the sidecar did not do what it was asked for.
 *
 * @param {SidecarError} error
 * @param {Language} language
 * @param {number} [now] unix milliseconds
 * @returns {Told}
 */
export function refusalOf(error, language, now = Date.now()) {
  const { strings } = language
  const say = REFUSALS[error.code]
  const key = `refusal.${error.code}`
  if (say) return { text: say(error, language, now), lang: strings.locale }
  return strings.knows(key) ? { text: strings.say(key), lang: strings.locale } : inEnglish(error.message)
}

/** @param {string} text */
function inEnglish(text) {
  return { text, lang: 'en' }
}

/**
 * "Your plan allows 10 generations an hour"
 *
 * @param {Facts} facts
 * @param {Language} language
 */
function allowanceOf({ limit, allowed, group }, { strings, formats }) {
  const amount = strings.say(`reason.amount.${limit}`, { count: allowed, duration: formats.duration(allowed) })
  return group ? strings.say('reason.groupAllows', { group, amount }) : strings.say('reason.planAllows', { amount })
}

/**
 * @param {SidecarError} error
 * @param {Language} language
 * @param {number} now
 */
function limitReached({ facts, retryAfterS }, language, now) {
  const { strings, formats } = language
  if (facts.limit === 'storage_bytes') {
    const amounts = { used: formats.gigabytes(facts.used), allowed: formats.gigabytes(facts.allowed) }
    return facts.group ? strings.say('refusal.groupStorage', { ...amounts, group: facts.group }) : strings.say('refusal.storage', amounts)
  }
  const allowance = allowanceOf(facts, language)
  if (retryAfterS === null) return strings.say('refusal.never', { allowance })
  const when = atTime(new Date(now + retryAfterS * 1000).toISOString(), language, now)
  return strings.say('refusal.limitReached', { allowance, when })
}

/**
 * Which models and nodes nobody has who could work now, and who has them.
 *
 * @param {Facts} facts
 * @param {Language} language
 */
function lackOf({ models, nodes, waits_for: holders }, { strings, formats }) {
  const named = nodes.map((/** @type {string} */ name) => strings.say('reason.node', { name }))
  const names = formats.all([...models, ...named])
  if (holders.length === 0) return strings.say('reason.nobodyHas', { names })
  const waitsFor = holders.map((/** @type {{ name: string | null, state: string }} */ { name, state }) =>
    strings.say(`reason.instance.${state}`, { name: name ?? strings.say('reason.someInstance') }),
  )
  return strings.say('reason.othersHave', { names, instances: formats.any(waitsFor) })
}

/**
 * @param {Facts} facts
 * @param {Language} language
 */
function turnsOf({ own, others, people }, { strings, formats }) {
  const parts = [
    own ? strings.say('reason.own', { count: own }) : '',
    others ? strings.say('reason.others', { count: people, others }) : '',
  ].filter(Boolean)
  return strings.say('reason.turns', { ahead: formats.all(parts) })
}
