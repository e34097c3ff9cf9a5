/** @import { Message, Messages } from './types.js' */

const FALLBACK = 'en'

/** The panel's words in one language; what it lacks is said in English. */
export class Strings {
  #messages
  #fallback
  #plurals
  #numbers

  /**
   * @param {string} locale a BCP 47 tag, as ComfyUI's setting `Comfy.Locale` holds it
   * @param {{ [locale: string]: Messages }} translations as `locales/<locale>/main.json` under `genonaut`
   */
  constructor(locale, translations) {
    const spoken = [locale, locale.split('-')[0] ?? FALLBACK].find((tag) => translations[tag]) ?? FALLBACK
    /** The language that is really spoken, which dates and numbers follow. */
    this.locale = spoken
    this.#messages = translations[spoken] ?? {}
    this.#fallback = translations[FALLBACK] ?? {}
    this.#plurals = new Intl.PluralRules(spoken)
    this.#numbers = new Intl.NumberFormat(spoken)
  }

  /**
   * @param {string} key dotted: `history.waiting`
   * @param {{ [name: string]: string | number }} [values] put in for `{name}`; `count` chooses the plural
   * @returns {string}
   */
  say(key, values = {}) {
    const message = lookUp(this.#messages, key) ?? lookUp(this.#fallback, key)
    if (message === undefined) throw new RangeError(`There is no text named ${key}.`)
    const text = typeof message === 'string' ? message : this.#plural(message, Number(values.count))
    return text.replace(/\{(\w+)\}/g, (_, name) => this.#shown(values[name]))
  }

  /** @param {string} key */
  knows(key) {
    return typeof (lookUp(this.#messages, key) ?? lookUp(this.#fallback, key)) === 'string'
  }

  /**
   * @param {{ [plural: string]: string }} forms
   * @param {number} count
   */
  #plural(forms, count) {
    return forms[this.#plurals.select(count)] ?? forms.other ?? ''
  }

  /** @param {string | number | undefined} value */
  #shown(value) {
    return typeof value === 'number' ? this.#numbers.format(value) : (value ?? '')
  }
}

/**
 * Reads the words of every pack from ComfyUI, and takes ours.
 *
 * @param {string} url ComfyUI's `/i18n`
 * @param {string} locale
 */
export async function loadStrings(url, locale) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`ComfyUI did not hand out its translations (${response.status}).`)
  const packs = await response.json()
  const ours = Object.entries(packs).flatMap(([tag, messages]) =>
    messages.genonaut ? [[tag, messages.genonaut]] : [],
  )
  return new Strings(locale, Object.fromEntries(ours))
}

/**
 * @param {Messages} messages
 * @param {string} key
 * @returns {Message | undefined}
 */
function lookUp(messages, key) {
  /** @type {any} */
  let found = messages
  for (const part of key.split('.')) found = found?.[part]
  return found
}
