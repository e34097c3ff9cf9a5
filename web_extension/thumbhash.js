/**
 * ThumbHash: a blurred picture in some 25 bytes, as a few cosine waves of brightness (L), two colour
 * differences (P: blue against yellow, Q: red against green) and, where there is one, alpha (A).
 * The format is Evan Wallace's: https://evanw.github.io/thumbhash/
 */

/** Seven half waves need no more; the browser draws them out smoothly. */
const LONGEST_SIDE_PX = 16

/** The colour channels are stored with a factor that makes use of the whole nibble. */
const COLOUR_GAIN = 1.25

/**
 * @param {string} base64
 * @returns {ImageData | null} null where these are not the bytes of a ThumbHash
 */
export function decodeThumbhash(base64) {
  const hash = bytesOf(base64)
  if (hash === null || hash.length < 5) return null
  const { lx, ly, hasAlpha, channels } = readChannels(hash)
  const width = Math.round(lx > ly ? LONGEST_SIDE_PX : (LONGEST_SIDE_PX * lx) / ly)
  const height = Math.round(lx > ly ? (LONGEST_SIDE_PX * ly) / lx : LONGEST_SIDE_PX)
  const [l, p, q, a] = channels.map((channel) => waves(channel, width, height))
  const image = new ImageData(width, height)
  for (let i = 0; i < width * height; i++) {
    const blue = at(l, i) - (2 / 3) * at(p, i)
    const red = (3 * at(l, i) - blue + at(q, i)) / 2
    const green = red - at(q, i)
    // One by one: this runs for each card that comes into view, and a list of four for each pixel is much garbage.
    image.data[i * 4] = red * 255
    image.data[i * 4 + 1] = green * 255
    image.data[i * 4 + 2] = blue * 255
    image.data[i * 4 + 3] = hasAlpha ? at(a, i) * 255 : 255
  }
  return image
}

/** @typedef {{ nx: number, ny: number, mean: number, amplitudes: number[] }} Channel */

/** @param {Uint8Array} hash */
function readChannels(hash) {
  const first = at(hash, 0) | (at(hash, 1) << 8) | (at(hash, 2) << 16)
  const second = at(hash, 3) | (at(hash, 4) << 8)
  const hasAlpha = first >> 23 === 1
  const isLandscape = second >> 15 === 1
  const longSide = hasAlpha ? 5 : 7
  const shortSide = Math.max(3, second & 7)
  const [lx, ly] = isLandscape ? [longSide, shortSide] : [shortSide, longSide]
  const nibbles = nibblesOf(hash, hasAlpha ? 6 : 5)
  const read = (/** @type {[number, number, number, number]} */ ...layout) => readChannel(nibbles, ...layout)
  const channels = [
    read(lx, ly, (first & 63) / 63, ((first >> 18) & 31) / 31),
    read(3, 3, ((first >> 6) & 63) / 31.5 - 1, (((second >> 3) & 63) / 63) * COLOUR_GAIN),
    read(3, 3, ((first >> 12) & 63) / 31.5 - 1, (((second >> 9) & 63) / 63) * COLOUR_GAIN),
  ]
  if (hasAlpha) channels.push(read(5, 5, (at(hash, 5) & 15) / 15, (at(hash, 5) >> 4) / 15))
  return { lx, ly, hasAlpha, channels }
}

/**
 * @param {Iterator<number>} nibbles
 * @param {number} nx
 * @param {number} ny
 * @param {number} mean
 * @param {number} scale
 * @returns {Channel}
 */
function readChannel(nibbles, nx, ny, mean, scale) {
  const amplitudes = []
  for (let y = 0; y < ny; y++)
    for (let x = y === 0 ? 1 : 0; x * ny < nx * (ny - y); x++) {
      const nibble = nibbles.next()
      amplitudes.push(nibble.done ? 0 : (nibble.value / 7.5 - 1) * scale)
    }
  return { nx, ny, mean, amplitudes }
}

/**
 * The channel's value at each pixel.
 *
 * @param {Channel} channel
 * @param {number} width
 * @param {number} height
 */
function waves({ nx, ny, mean, amplitudes }, width, height) {
  const values = new Float32Array(width * height).fill(mean)
  let next = 0
  for (let y = 0; y < ny; y++)
    for (let x = y === 0 ? 1 : 0; x * ny < nx * (ny - y); x++) {
      addWave(values, 2 * at(amplitudes, next++), x, y, width, height)
    }
  return values
}

/**
 * @param {Float32Array} values
 * @param {number} amplitude
 * @param {number} x how many half waves across
 * @param {number} y how many down
 * @param {number} width
 * @param {number} height
 */
function addWave(values, amplitude, x, y, width, height) {
  const across = halfWaves(x, width)
  const down = halfWaves(y, height)
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const i = row * width + column
      values[i] = at(values, i) + amplitude * at(down, row) * at(across, column)
    }
}

/**
 * @param {number} count how many half waves
 * @param {number} length over how many pixels
 */
function halfWaves(count, length) {
  const values = new Float32Array(length)
  for (let pixel = 0; pixel < length; pixel++) values[pixel] = Math.cos((Math.PI / length) * (pixel + 0.5) * count)
  return values
}

/**
 * Two numbers from 0 to 15 a byte, the low one first.
 *
 * @param {Uint8Array} hash
 * @param {number} start
 */
function* nibblesOf(hash, start) {
  for (const byte of hash.subarray(start)) {
    yield byte & 15
    yield byte >> 4
  }
}

/** @param {string} base64 */
function bytesOf(base64) {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch (error) {
    if (error instanceof DOMException) return null
    throw error
  }
}

/**
 * @param {ArrayLike<number> | undefined} numbers
 * @param {number} index
 */
function at(numbers, index) {
  return numbers?.[index] ?? 0
}
