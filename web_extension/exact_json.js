/**
 * JSON as the sidecar writes it. Seeds go up to 2^64 - 1, beyond what a JavaScript number holds exactly:
 * such a one is kept as the text that stood there, so that a copied seed repeats the picture.
 *
 * @param {string} text
 * @returns {any}
 */
export function parseExactly(text) {
  const keepSeeds = (/** @type {string} */ key, /** @type {unknown} */ value, /** @type {{ source?: string }} */ context) =>
    key === 'seed' && typeof value === 'number' && !Number.isSafeInteger(value) ? (context?.source ?? value) : value
  return JSON.parse(text, /** @type {(key: string, value: unknown) => unknown} */ (keepSeeds))
}
