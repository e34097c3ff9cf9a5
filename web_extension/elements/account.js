/**
 * @import { Me, Session, Token } from '../types.js'
 * @import { Surroundings } from './generation_card.js'
 */

import { copyText } from '../clipboard.js'
import { h, setText, setTold } from '../dom.js'
import { icon, iconButton } from '../icons.js'
import { refusalOf } from '../reasons.js'
import { SidecarError } from '../sidecar_client.js'
import { accountStyles } from '../styles/account.js'
import { dialogFrame } from '../styles/dialog_frame.js'
import { fields } from '../styles/fields.js'
import { theme } from '../styles/theme.js'

/** What the sidecar takes at least (sidecar/accounts/passwords.py). */
const PASSWORD_CHARACTERS = 15
const DAY_MS = 86_400_000
/** Days for which a token is good; 0: until it is revoked. The first one is offered. */
const TOKEN_DAYS = [90, 30, 365, 0]

/**
 * Who is logged in, as a button; behind it the account: password, where one is logged in, and tokens for programs.
 *
 * In open access everything belongs to one person, and there is nothing to see.
 *
 * @fires genonaut-logged-out - the session has ended: the page has to be loaded anew
 */
export class AccountElement extends HTMLElement {
  static define(tag = 'genonaut-account', registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this)
  }

  #surroundings
  /** @type {Me | null} */
  #me = null
  #name = h('span')
  #button = h('button', { type: 'button', className: 'person' }, icon('person'), this.#name)
  #title = h('h2', { id: 'title' })
  #role = h('p', { className: 'role' })
  #sessions = h('ul')
  #elsewhere
  #tokens = h('ul')
  #secret = h('div', { className: 'secret', hidden: true })
  #said = h('p', { className: 'said', role: 'status' })
  #body = h('div', { className: 'body' })
  #logOut
  #dialog

  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    super()
    this.#surroundings = surroundings
    const { strings } = surroundings
    this.hidden = true
    this.#elsewhere = this.#actionButton('account.endOthers', () => this.#endOthers())
    this.#logOut = this.#actionButton('account.logOut', () => this.#leave())
    this.#button.title = strings.say('account.title')
    this.#dialog = this.#build()
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [theme, dialogFrame, fields, accountStyles]
    root.append(this.#button, this.#dialog)
    this.#button.addEventListener('click', () => this.#open())
  }

  /** Asks who is logged in, and shows it. */
  async refresh() {
    this.#me = await this.#surroundings.client.me()
    this.hidden = this.#me.access === 'open'
    setText(this.#name, this.#me.name)
    this.#button.ariaLabel = this.#surroundings.strings.say('account.of', { name: this.#me.name })
  }

  #build() {
    const { strings } = this.#surroundings
    const close = iconButton('close', 'close', strings.say('dialog.close'), () => dialog.close())
    const dialog = h('dialog', {}, h('header', {}, this.#title, close), this.#role, this.#body, this.#said)
    dialog.append(h('footer', {}, this.#logOut))
    dialog.setAttribute('aria-labelledby', 'title')
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close())
    return dialog
  }

  async #open() {
    const { strings } = this.#surroundings
    if (!this.#me) return
    const { name, role, access } = this.#me
    setText(this.#title, name)
    setText(this.#role, strings.say(`account.roles.${role}`))
    setText(this.#said, '')
    this.#secret.hidden = true
    const logsInHere = access === 'accounts'
    this.#logOut.hidden = !logsInHere
    this.#body.replaceChildren(
      ...(logsInHere ? [this.#passwordPart(), this.#part('account.sessions', this.#sessions, this.#elsewhere)] : []),
      ...(role === 'guest' ? [] : [this.#part('account.tokens', this.#tokens, this.#secret, this.#tokenForm())]),
    )
    this.#dialog.showModal()
    await this.#act(() => this.#read())
  }

  async #read() {
    const { client } = this.#surroundings
    const [sessions, tokens] = await Promise.all([client.sessions(), client.tokens()])
    this.#sessions.replaceChildren(...sessions.items.map((session) => this.#sessionLine(session)))
    this.#elsewhere.hidden = sessions.items.length < 2
    this.#tokens.replaceChildren(...tokens.items.map((token) => this.#tokenLine(token)))
  }

  /**
   * @param {string} heading
   * @param {...Node} content
   */
  #part(heading, ...content) {
    return h('section', {}, h('h3', { textContent: this.#surroundings.strings.say(heading) }), ...content)
  }

  #passwordPart() {
    const { client, strings } = this.#surroundings
    const current = field('password', 'current-password')
    const wanted = field('password', 'new-password')
    wanted.minLength = PASSWORD_CHARACTERS
    const form = h(
      'form',
      {},
      // Password managers ask for which account it is.
      h('input', { type: 'text', autocomplete: 'username', value: this.#me?.name ?? '', hidden: true, readOnly: true }),
      h('label', {}, strings.say('account.currentPassword'), current),
      h('label', {}, strings.say('account.newPassword', { count: PASSWORD_CHARACTERS }), wanted),
      h('button', { textContent: strings.say('account.changePassword') }),
    )
    this.#onSubmit(form, async () => {
      await client.changePassword(current.value, wanted.value)
      form.reset()
      await this.#read()
      this.#say(strings.say('account.passwordChanged'))
    })
    const details = h('details', {}, h('summary', { textContent: strings.say('account.changePassword') }), form)
    return h('section', {}, details)
  }

  /** @param {Session} session */
  #sessionLine({ id, is_current: isCurrent, address, user_agent: userAgent, seen_at: seenAt }) {
    const { client, strings, formats } = this.#surroundings
    const where = strings.say('account.seen', { address, ago: formats.ago(seenAt) })
    const browser = browserOf(userAgent) || address
    const words = line(browser, isCurrent ? strings.say('account.here') : where)
    if (isCurrent) return h('li', {}, words)
    const end = this.#actionButton('account.end', () => client.endSession(id).then(() => this.#read()))
    end.ariaLabel = strings.say('account.endOf', { browser, address })
    return h('li', {}, words, end)
  }

  /** @param {Token} token */
  #tokenLine({ id, name, scopes, expires_at: expiresAt, used_at: usedAt }) {
    const { client, strings, formats } = this.#surroundings
    const facts = [
      scopes.map((scope) => strings.say(`account.scopes.${scope}`)).join(', '),
      expiresAt ? strings.say('account.until', { moment: formats.day(expiresAt) }) : strings.say('account.forEver'),
      usedAt ? strings.say('account.used', { ago: formats.ago(usedAt) }) : strings.say('account.unused'),
    ]
    const revoke = this.#actionButton('account.revoke', () => client.revokeToken(id).then(() => this.#read()))
    revoke.ariaLabel = strings.say('account.revokeOf', { name })
    return h('li', {}, line(name, facts.join(' · ')), revoke)
  }

  #tokenForm() {
    const { client, strings } = this.#surroundings
    const name = field('text', 'off')
    const scopes = h('select', {}, ...this.#scopeOptions())
    const days = h('select', {}, ...TOKEN_DAYS.map((count) => option(String(count), this.#lifetime(count))))
    const form = h(
      'form',
      {},
      h('label', {}, strings.say('account.tokenName'), name),
      h('label', {}, strings.say('account.tokenMay'), scopes),
      h('label', {}, strings.say('account.tokenFor'), days),
      h('button', { textContent: strings.say('account.makeToken') }),
    )
    this.#onSubmit(form, async () => {
      const lifetime = Number(days.value) * DAY_MS
      const expiresAt = lifetime ? new Date(Date.now() + lifetime).toISOString() : null
      const { secret } = await client.makeToken(name.value.trim(), scopes.value.split(' '), expiresAt)
      form.reset()
      details.open = false
      await this.#read()
      this.#showSecret(secret)
    })
    const details = h('details', {}, h('summary', { textContent: strings.say('account.makeToken') }), form)
    return details
  }

  #scopeOptions() {
    const { strings } = this.#surroundings
    const choices = [['submit', 'read submit'], ['read', 'read'], ...(this.#me?.role === 'admin' ? [['admin', 'read submit admin']] : [])]
    return choices.map(([scope = '', value = '']) => option(value, strings.say(`account.may.${scope}`)))
  }

  /** @param {number} days */
  #lifetime(days) {
    return days ? this.#surroundings.strings.say('account.days', { count: days }) : this.#surroundings.strings.say('account.forEver')
  }

  /** @param {string} secret */
  #showSecret(secret) {
    const { strings } = this.#surroundings
    const shown = h('input', { type: 'text', readOnly: true, value: secret, ariaLabel: strings.say('account.secret') })
    const copy = this.#actionButton('account.copy', async () => {
      await copyText(secret, this.#dialog)
      this.#say(strings.say('dialog.copied'))
    })
    this.#secret.replaceChildren(h('p', { textContent: strings.say('account.secretOnce') }), h('div', {}, shown, copy))
    this.#secret.hidden = false
    shown.focus()
    shown.select()
  }

  #endOthers() {
    return this.#surroundings.client.endOtherSessions().then(() => this.#read())
  }

  async #leave() {
    await this.#surroundings.client.logOut()
    this.dispatchEvent(new Event('genonaut-logged-out', { bubbles: true, composed: true }))
  }

  /**
   * @param {string} key of its words
   * @param {() => Promise<void>} doing
   */
  #actionButton(key, doing) {
    const button = h('button', { type: 'button', textContent: this.#surroundings.strings.say(key) })
    button.addEventListener('click', async () => {
      button.disabled = true
      await this.#act(doing)
      button.disabled = false
    })
    return button
  }

  /**
   * @param {HTMLFormElement} form
   * @param {() => Promise<void>} doing
   */
  #onSubmit(form, doing) {
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#act(doing)
    })
  }

  /** @param {string} sentence */
  #say(sentence) {
    setTold(this.#said, { text: sentence, lang: this.#surroundings.strings.locale })
  }

  /**
   * Does what somebody wanted, and tells them where it fails.
   *
   * @param {() => Promise<void>} doing
   */
  async #act(doing) {
    setText(this.#said, '')
    try {
      await doing()
    } catch (error) {
      if (!(error instanceof SidecarError)) throw error
      setTold(this.#said, refusalOf(error, this.#surroundings))
    }
  }
}

/**
 * @param {'text' | 'password'} type
 * @param {AutoFill} autocomplete
 */
function field(type, autocomplete) {
  return h('input', { type, autocomplete, required: true, maxLength: 256 })
}

/**
 * @param {string} value
 * @param {string} text
 */
function option(value, text) {
  return h('option', { value, textContent: text })
}

/**
 * @param {string} strong
 * @param {string} quiet
 */
function line(strong, quiet) {
  return h('span', {}, h('strong', { textContent: strong }), h('span', { textContent: quiet }))
}

/**
 * The browser and the system that a user agent names: "Firefox, Windows". Empty where it names neither.
 *
 * @param {string} userAgent
 */
export function browserOf(userAgent) {
  // The order matters: Edge and Opera call themselves Chrome as well, and Chrome calls itself Safari.
  const browser = ['Edg', 'OPR', 'Firefox', 'Chrome', 'Safari'].find((name) => userAgent.includes(`${name}/`))
  const system = ['Windows', 'Android', 'iPhone', 'iPad', 'Mac OS', 'Linux'].find((name) => userAgent.includes(name))
  const names = { Edg: 'Edge', OPR: 'Opera', 'Mac OS': 'macOS' }
  return [browser, system]
    .filter((name) => name !== undefined)
    .map((name) => names[/** @type {keyof typeof names} */ (name)] ?? name)
    .join(', ')
}
