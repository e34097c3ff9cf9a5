/**
 * Small tools for building elements without markup in strings.
 *
 * @import { Told } from './types.js'
 */

/**
 * Makes one element. Properties are set, not attributes, so text is always text.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}

/**
 * @param {string} css
 * @returns {CSSStyleSheet}
 */
export function sheet(css) {
  const made = new CSSStyleSheet()
  made.replaceSync(css)
  return made
}

/**
 * A text with the language that it is in, so that it is read out as it should be.
 *
 * @param {HTMLElement} element
 * @param {Told} told
 */
export function setTold(element, { text, lang }) {
  if (element.lang !== lang) element.lang = lang
  setText(element, text)
}

/**
 * Sets text only where it differs: a live region would read out the same text again.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}
