/**
 * What a generation is, in words for people. The one place that decides them.
 *
 * @import { Formats } from './format.js'
 * @import { IconName } from './icons.js'
 * @import { Strings } from './strings.js'
 * @import { Generation, Image } from './types.js'
 */

import { isOpen } from './history.js'
import { standingOf } from './waiting_wording.js'

/** @typedef {{ icon: IconName, tone: 'calm' | 'busy' | 'bad', text: string }} Statement */

/**
 * How far it is, as short as it can be said.
 *
 * @param {Generation} generation
 * @param {Strings} strings
 * @param {Formats} formats
 * @returns {Statement}
 */
export function stateOf(generation, strings, formats) {
  const { state } = generation
  if (isOpen(generation) && generation.cancel_requested)
    return { icon: 'cancelled', tone: 'busy', text: strings.say('state.cancelling') }
  if (state === 'pending') return { icon: 'pending', tone: 'busy', text: standingOf(generation, { strings, formats }) }
  if (state === 'submitted') return { icon: 'pending', tone: 'busy', text: strings.say('state.submitted') }
  if (state === 'running') return { icon: 'running', tone: 'busy', text: paceOf(generation, strings, formats) }
  if (state === 'completed' && isWithheld(generation))
    return { icon: 'review', tone: 'calm', text: strings.say(`review.${generation.review}`) }
  const tone = state === 'failed' || state === 'lost' ? 'bad' : 'calm'
  return { icon: state, tone, text: strings.say(`state.${state}`) }
}

/**
 * @param {Generation} generation
 * @param {Strings} strings
 * @param {Formats} formats
 */
function paceOf({ progress }, strings, formats) {
  return progress
    ? strings.say('state.runningAt', { percent: formats.percent(progress.fraction) })
    : strings.say('state.running')
}

/**
 * Where it is just now: the node and its step.
 *
 * @param {Generation} generation
 * @param {Strings} strings
 * @returns {string}
 */
export function stepOf({ progress }, strings) {
  if (!progress?.node_type) return ''
  const { node_type: node, step, steps } = progress
  return step !== null && steps ? strings.say('state.step', { node, step, steps }) : node
}

/**
 * The sentence that stands where a picture would be. Empty where there is one to show.
 *
 * @param {Generation} generation
 * @param {Image | null} image
 * @param {Strings} strings
 * @returns {string}
 */
export function insteadOfPicture(generation, image, strings) {
  if (generation.state === 'failed') return generation.error?.message ?? strings.say('instead.failed')
  if (generation.state === 'lost') return strings.say('instead.lost')
  if (isOpen(generation)) return ''
  if (isWithheld(generation)) return strings.say(`instead.review.${generation.review}`)
  if (generation.state === 'cancelled' && !image) return strings.say('instead.cancelled')
  if (!image) return strings.say('instead.none')
  return image.state === 'kept' ? '' : strings.say(`instead.${image.state}`)
}

/**
 * Do administrators alone see its images, if it has any?
 *
 * @param {Generation} generation
 */
export function isWithheld({ review }) {
  return review === 'waiting' || review === 'hidden'
}

/**
 * What to call it: its title, else its prompt, else its number.
 *
 * @param {Generation} generation
 * @param {Strings} strings
 */
export function nameOf({ title, prompt, number }, strings) {
  return title || prompt || strings.say('generation.numbered', { number })
}

/**
 * The image that stands for the generation: the first that can be shown.
 *
 * @param {Generation} generation
 * @returns {Image | null}
 */
export function coverOf({ images }) {
  return images.find((image) => image.state === 'kept') ?? images[0] ?? null
}
