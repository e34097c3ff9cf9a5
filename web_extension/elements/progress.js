import { h } from '../dom.js'
import { progressStyles } from '../styles/progress.js'
import { theme } from '../styles/theme.js'

/**
 * How far something is. Without the attribute `fraction` (0 to 1) it only says that something happens.
 */
export class ProgressElement extends HTMLElement {
  static observedAttributes = ['fraction']

  static define(tag = 'genonaut-progress', registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this)
  }

  #done = h('div', { className: 'done' })

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [theme, progressStyles]
    root.append(this.#done)
  }

  connectedCallback() {
    this.role = 'progressbar'
    this.ariaValueMin = '0'
    this.ariaValueMax = '100'
  }

  /** @returns {number | null} */
  get fraction() {
    const value = this.getAttribute('fraction')
    return value === null ? null : Number(value)
  }

  set fraction(fraction) {
    if (fraction === null) this.removeAttribute('fraction')
    else this.setAttribute('fraction', String(Math.min(1, Math.max(0, fraction))))
  }

  attributeChangedCallback() {
    const fraction = this.fraction
    this.ariaValueNow = fraction === null ? null : String(Math.round(fraction * 100))
    this.#done.style.transform = fraction === null ? '' : `scaleX(${fraction})`
  }
}
