/** @import { Image } from '../types.js' */

import { h } from '../dom.js'
import { pictureStyles } from '../styles/picture.js'
import { theme } from '../styles/theme.js'
import { decodeThumbhash } from '../thumbhash.js'

/**
 * One image in the frame that its own size gives it: first its thumbhash, then its bytes, and nothing jumps.
 * Fits itself into the box that it is given, and is never cropped.
 */
export class PictureElement extends HTMLElement {
  static define(tag = 'genonaut-picture', registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this)
  }

  #canvas = h('canvas', { ariaHidden: 'true' })
  #img = h('img', { alt: '', decoding: 'async', draggable: false })
  #frame = h('div', { className: 'frame' }, this.#canvas, this.#img)
  /** @type {string | null} */
  #thumbhash = null
  #url = ''

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [theme, pictureStyles]
    root.append(this.#frame)
    this.#img.addEventListener('load', () => this.#img.classList.add('there'))
    this.#img.addEventListener('error', () => this.dispatchEvent(new Event('genonaut-picture-failed')))
  }

  /**
   * @param {Image | null} image
   * @param {{ url: string, alt: string }} shown `url` is empty while the bytes shall not be fetched yet
   */
  show(image, { url, alt }) {
    this.#frame.hidden = image === null
    this.#img.alt = alt
    this.#shape(image)
    this.#place(image?.thumbhash ?? null)
    if (url === this.#url) return
    this.#url = url
    this.#img.classList.remove('there')
    // Without a source the browser also ends a fetch that nobody waits for any more.
    if (url) this.#img.src = url
    else this.#img.removeAttribute('src')
  }

  /** @param {Image | null} image */
  #shape(image) {
    const ratio = image?.width && image.height ? image.width / image.height : 1
    this.#frame.style.aspectRatio = String(ratio)
    this.#frame.style.width = ratio >= 1 ? '100%' : 'auto'
    this.#frame.style.height = ratio >= 1 ? 'auto' : '100%'
  }

  /** @param {string | null} thumbhash */
  #place(thumbhash) {
    if (thumbhash === this.#thumbhash) return
    this.#thumbhash = thumbhash
    const pixels = thumbhash ? decodeThumbhash(thumbhash) : null
    this.#canvas.hidden = pixels === null
    if (pixels === null) return
    this.#canvas.width = pixels.width
    this.#canvas.height = pixels.height
    this.#canvas.getContext('2d')?.putImageData(pixels, 0, 0)
  }
}
