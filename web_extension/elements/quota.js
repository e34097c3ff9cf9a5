/**
 * @import { LiveEvents } from '../live_events.js'
 * @import { QuotaWatch } from '../quota_watch.js'
 * @import { Generation, Quota, QuotaLimit } from '../types.js'
 * @import { Surroundings } from './generation_card.js'
 * @import { Life } from './panel_element.js'
 */

import { h, setText } from '../dom.js'
import { isOpen } from '../history.js'
import { NearestTurn } from '../nearest_turn.js'
import { OwnLine } from '../own_line.js'
import { boundOf, keyOf } from '../quota_wording.js'
import { quotaStyles } from '../styles/quota.js'
import { LimitMeter } from './limit_meter.js'
import { PanelElement } from './panel_element.js'
import { PanelShell } from './panel_shell.js'
import { beginningOfDays, UsageDays } from './usage_days.js'
import { WaitingList } from './waiting_list.js'

/** Times are told in minutes: more often nothing changes. */
const DRAW_EVERY_MS = 5_000
/** At most this often is read anew, however much happens. */
const READ_AFTER_MS = 1_000

/**
 * What somebody may make, what of it is used, what waits, and what was made in the last days; live.
 *
 * Set `watch`, too, before it enters the document.
 */
export class QuotaElement extends PanelElement {
  static define(tag = 'genonaut-quota', registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this)
  }

  /** @type {QuotaWatch | null} */
  watch = null

  constructor() {
    super(quotaStyles)
  }

  /**
   * @override
   * @param {ShadowRoot} root
   * @param {Surroundings} surroundings
   * @param {LiveEvents} liveEvents
   */
  begin(root, surroundings, liveEvents) {
    if (!this.watch) throw new Error('The panel of limits needs somebody who watches them.')
    return new Panel(root, surroundings, liveEvents, this.watch)
  }
}

/** @implements {Life} */
class Panel {
  #root
  #surroundings
  #liveEvents
  #watch
  #shell
  #line
  #nearest
  #waitingList
  #usageDays
  /** By the key of their limit. @type {Map<string, LimitMeter>} */
  #meters = new Map()

  #plan = h('p', { className: 'plan quiet' })
  #none = h('p', { hidden: true })
  #limits = h('div', { className: 'limits' })
  #each = h('section', { hidden: true })
  #waitingCount = h('span', { className: 'quiet' })
  #nothingWaits = h('p', { className: 'quiet' })
  #body = h('div', { className: 'body', hidden: true })

  #stopped = new AbortController()
  /** @type {() => void} */
  #stopListening = () => {}
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #drawing
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #reading
  #hasToReadLine = true
  #layout = ''

  /**
   * @param {ShadowRoot} root
   * @param {Surroundings} surroundings
   * @param {LiveEvents} liveEvents
   * @param {QuotaWatch} watch
   */
  constructor(root, surroundings, liveEvents, watch) {
    this.#root = root
    this.#surroundings = surroundings
    this.#liveEvents = liveEvents
    this.#watch = watch
    const title = surroundings.strings.say('quota.title')
    this.#shell = new PanelShell({ surroundings, title, refresh: () => this.#readLineSoon() })
    this.#line = new OwnLine(surroundings.client)
    this.#nearest = new NearestTurn((sentence) => this.#shell.announce(sentence), surroundings)
    this.#waitingList = new WaitingList(surroundings)
    this.#usageDays = new UsageDays(surroundings)
  }

  start() {
    this.#build()
    this.#watch.addEventListener('change', this.#changed)
    this.#line.addEventListener('change', () => this.#moved())
    this.#line.addEventListener('unknown', () => this.#readLineSoon())
    this.#stopListening = this.#liveEvents.listen({
      hello: () => this.#readLineSoon(),
      generation: (generation) => this.#heard(generation),
      waiting: (turns) => this.#line.hear(turns),
    })
    this.#drawing = setInterval(() => this.#draw(), DRAW_EVERY_MS)
    this.#shell.hear(this.#watch.trouble)
    this.#draw()
    this.#watch.refresh()
    this.#read()
  }

  stop() {
    this.#stopped.abort()
    this.#shell.stop()
    this.#watch.removeEventListener('change', this.#changed)
    this.#stopListening()
    clearInterval(this.#drawing)
    clearTimeout(this.#reading)
    this.#nearest.stop()
  }

  #build() {
    const { strings } = this.#surroundings
    setText(this.#none, strings.say('quota.none'))
    setText(this.#nothingWaits, strings.say('quota.nothingWaits'))
    const waiting = this.#part('quota.waiting', this.#nothingWaits, this.#waitingList.element)
    waiting.querySelector('h3')?.after(this.#waitingCount)
    const usage = this.#part('quota.usage', this.#usageDays.element)
    this.#body.append(this.#none, this.#limits, waiting, usage, this.#each)
    this.#body.tabIndex = 0 // what scrolls can be scrolled with the keyboard
    this.#body.role = 'group'
    this.#body.setAttribute('aria-labelledby', 'heading')
    this.#shell.build(this.#plan, this.#body)
    this.#root.replaceChildren(this.#shell.element)
  }

  /**
   * @param {string} heading
   * @param {...Node} content
   */
  #part(heading, ...content) {
    return h('section', {}, h('h3', { textContent: this.#surroundings.strings.say(heading) }), ...content)
  }

  #changed = () => {
    this.#shell.hear(this.#watch.trouble)
    this.#draw()
  }

  #draw() {
    const { quota } = this.#watch
    if (!quota) return
    this.#body.hidden = false
    setText(this.#plan, this.#surroundings.strings.say('quota.plan', { plan: quota.plan }))
    this.#none.hidden = quota.limits.length > 0
    this.#drawLimits(quota)
    this.#drawEach(quota.limits.filter((limit) => limit.used === null))
    this.#drawWaiting(this.#line.count ?? Math.max(quota.waiting.count, this.#line.items.length))
  }

  /** @param {Quota} quota */
  #drawLimits(quota) {
    const limits = quota.limits.filter((limit) => limit.used !== null)
    const layout = [quota.over_limit, ...limits.map(keyOf)].join('\n')
    if (layout !== this.#layout) this.#layOut(limits, quota.over_limit)
    this.#layout = layout
    for (const limit of limits) this.#meters.get(keyOf(limit))?.show(limit)
  }

  /**
   * Makes a list of one's own, and one for each group.
   *
   * @param {QuotaLimit[]} limits
   * @param {Quota['over_limit']} overLimit
   */
  #layOut(limits, overLimit) {
    const { strings } = this.#surroundings
    this.#meters = new Map(limits.map((limit) => [keyOf(limit), new LimitMeter(this.#surroundings)]))
    const parts = [...new Set(limits.map((limit) => limit.group))].map((group, index) => {
      const title = group === null ? strings.say('quota.own') : strings.say('quota.group', { group })
      const heading = h('h3', { id: `limits-${index}`, textContent: title })
      const meters = limits.filter((limit) => limit.group === group).map((limit) => this.#meters.get(keyOf(limit))?.element ?? '')
      const list = h('ul', { className: 'meters' }, ...meters)
      list.setAttribute('aria-labelledby', heading.id)
      return h('section', {}, heading, list)
    })
    const beyond = h('p', { className: 'beyond quiet', textContent: strings.say(`quota.beyond.${overLimit}`) })
    this.#limits.replaceChildren(...parts, ...(limits.length ? [beyond] : []))
  }

  /** @param {QuotaLimit[]} bounds */
  #drawEach(bounds) {
    const { strings } = this.#surroundings
    const lines = bounds.map((limit) => ({ name: strings.say(`quota.eachNames.${limit.name}`), most: boundOf(limit, this.#surroundings) }))
    const drawn = JSON.stringify(lines)
    this.#each.hidden = bounds.length === 0
    if (this.#each.dataset.drawn === drawn) return
    this.#each.dataset.drawn = drawn
    const facts = lines.map(({ name, most }) => h('div', {}, h('dt', { textContent: name }), h('dd', { textContent: most })))
    this.#each.replaceChildren(h('h3', { textContent: strings.say('quota.each') }), h('dl', {}, ...facts))
  }

  /** @param {number} count */
  #drawWaiting(count) {
    this.#waitingCount.hidden = count === 0
    this.#nothingWaits.hidden = count > 0
    this.#waitingList.element.hidden = count === 0
    setText(this.#waitingCount, this.#surroundings.strings.say('quota.waitingCount', { count }))
    this.#waitingList.show(this.#line.items, count)
  }

  /** @param {Generation} generation */
  #heard(generation) {
    this.#line.put(generation)
    if (!isOpen(generation)) this.#readSoon() // it counts among what was used
  }

  #moved() {
    this.#nearest.show(this.#line.items[0])
    this.#draw()
  }

  #readLineSoon() {
    this.#hasToReadLine = true
    this.#readSoon()
  }

  #readSoon() {
    this.#reading ??= setTimeout(() => {
      this.#reading = undefined
      this.#read()
    }, READ_AFTER_MS)
  }

  /** What was used, and what waits, as far as that is not told. */
  async #read() {
    await this.#shell.attempt(async () => {
      const { client } = this.#surroundings
      const [usage] = await Promise.all([client.usageByDay(beginningOfDays()), this.#readLine()])
      if (this.#shell.isStopped) return
      this.#shell.recovered()
      this.#usageDays.show(usage.items)
      this.#draw()
    })
  }

  async #readLine() {
    if (!this.#hasToReadLine) return
    this.#hasToReadLine = false
    await this.#line.read(this.#stopped.signal)
  }
}
