/**
 * What was asked for and what came of it, as labelled lines. What is not known has no line.
 *
 * @import { Formats } from './format.js'
 * @import { Strings } from './strings.js'
 * @import { Generation, Image, Lora, Sampler } from './types.js'
 */

/**
 * @typedef {object} Fact
 * @property {string} key the word for it: `facts.<key>`
 * @property {string} text
 * @property {boolean} [isLong] a text of its own, below its label
 * @property {boolean} [isCopied] worth a button that copies it
 */

/**
 * @param {Generation} generation
 * @param {Image | null} image the one looked at
 * @param {Strings} strings
 * @param {Formats} formats
 * @returns {Fact[]}
 */
export function factsOf(generation, image, strings, formats) {
  /** @type {Fact[]} */
  const facts = [
    { key: 'prompt', text: generation.prompt, isLong: true },
    { key: 'negativePrompt', text: generation.negative_prompt, isLong: true },
    { key: 'checkpoint', text: generation.checkpoint },
    { key: 'loras', text: generation.loras.map((lora) => loraText(lora, strings, formats)).join('\n') },
    { key: 'size', text: sizeText(image ?? generation, strings) },
    { key: 'batchSize', text: (generation.batch_size ?? 1) > 1 ? shown(generation.batch_size, formats) : '' },
    ...samplerFacts(generation.sampler ?? {}, formats),
    { key: 'created', text: formats.moment(generation.created_at) },
    { key: 'waited', text: between(generation.created_at, generation.started_at, formats) },
    { key: 'took', text: generation.gpu_seconds === null ? '' : formats.duration(generation.gpu_seconds) },
    { key: 'file', text: image?.state === 'kept' ? fileText(image, formats) : '' },
    { key: 'source', text: strings.say(`source.${generation.source}`) },
    { key: 'number', text: generation.title ? formats.number(generation.number) : '' }, // else it is the heading
  ]
  return facts.filter((fact) => fact.text !== '')
}

/**
 * @param {Sampler} sampler
 * @param {Formats} formats
 * @returns {Fact[]}
 */
function samplerFacts(sampler, formats) {
  return [
    { key: 'seed', text: sampler.seed == null ? '' : String(sampler.seed), isCopied: true },
    { key: 'steps', text: shown(sampler.steps, formats) },
    { key: 'cfg', text: shown(sampler.cfg, formats) },
    { key: 'sampler', text: [sampler.sampler_name, sampler.scheduler].filter(Boolean).join(', ') },
    { key: 'denoise', text: sampler.denoise === 1 ? '' : shown(sampler.denoise, formats) },
  ]
}

/**
 * @param {number | null | undefined} value
 * @param {Formats} formats
 */
function shown(value, formats) {
  return value == null ? '' : formats.number(value)
}

/**
 * @param {Lora} lora
 * @param {Strings} strings
 * @param {Formats} formats
 */
function loraText({ name, strength_model: model, strength_clip: clip }, strings, formats) {
  const strength = model === clip ? formats.number(model) : `${formats.number(model)} / ${formats.number(clip)}`
  return strings.say('facts.lora', { name, strength })
}

/**
 * @param {{ width: number | null, height: number | null }} size
 * @param {Strings} strings
 */
function sizeText({ width, height }, strings) {
  return width && height ? strings.say('facts.pixels', { width: String(width), height: String(height) }) : ''
}

/**
 * @param {string} start
 * @param {string | null} end
 * @param {Formats} formats
 */
function between(start, end, formats) {
  return end === null ? '' : formats.duration(Math.max(0, (Date.parse(end) - Date.parse(start)) / 1000))
}

/**
 * @param {Image} image
 * @param {Formats} formats
 */
function fileText({ media_type: type, bytes }, formats) {
  const kind = type?.replace(/^image\//, '').toUpperCase()
  return [kind, bytes === null ? '' : formats.bytes(bytes)].filter(Boolean).join(' · ')
}
