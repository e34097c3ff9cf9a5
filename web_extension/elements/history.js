/**
 * @import { LiveEvents } from '../live_events.js'
 * @import { Generation, Turns } from '../types.js'
 * @import { Surroundings } from './generation_card.js'
 * @import { Life } from './panel_element.js'
 */

import { CardGrid } from '../card_grid.js'
import { h, setText } from '../dom.js'
import { History } from '../history.js'
import { icon } from '../icons.js'
import { NearestTurn } from '../nearest_turn.js'
import { SidecarError } from '../sidecar_client.js'
import { historyStyles } from '../styles/history.js'
import { coverOf, nameOf, stateOf } from '../wording.js'
import { AccountElement } from './account.js'
import { GenerationCardElement } from './generation_card.js'
import { ImageDialogElement } from './image_dialog.js'
import { PanelElement } from './panel_element.js'
import { PanelShell } from './panel_shell.js'
import { UndoBarElement } from './undo_bar.js'

const FIRST_SKELETONS = 8
/** Older ones are read when fewer than this are left below the reader. */
const READ_AHEAD = 30
const ANNOUNCE_AFTER_MS = 600
/** Scrolled down further than this, somebody reads, and new ones wait. */
const READING_PX = 40

/**
 * The history of one person's generations, newest first, live.
 *
 * Set `loadWorkflow`, too, where the page can put a workflow on its canvas.
 */
export class HistoryElement extends PanelElement {
  static define(tag = 'genonaut-history', registry = customElements) {
    AccountElement.define()
    GenerationCardElement.define()
    ImageDialogElement.define()
    UndoBarElement.define()
    if (!registry.get(tag)) registry.define(tag, this)
  }

  /** @type {((generation: Generation) => Promise<void>) | null} */
  loadWorkflow = null

  constructor() {
    super(historyStyles)
  }

  /**
   * @override
   * @param {ShadowRoot} root
   * @param {Surroundings} surroundings
   * @param {LiveEvents} liveEvents
   */
  begin(root, surroundings, liveEvents) {
    return new Panel(root, surroundings, liveEvents, this.loadWorkflow)
  }
}

/** @implements {Life} */
class Panel {
  #root
  #surroundings
  #liveEvents
  #history
  #grid
  #account
  #dialog
  #undo
  #shell
  #nearest

  #list = h('div', { className: 'list', role: 'list' })
  #tail = h('div', { className: 'tail', hidden: true })
  #empty = h('div', { className: 'empty', hidden: true })
  #scroller = h('div', { className: 'scroller', tabIndex: -1 }, this.#list, this.#tail, this.#empty)
  #arrived = h('button', { className: 'arrived', type: 'button', hidden: true })

  /** @type {() => void} */
  #stopListening = () => {}
  #isRefreshing = false
  #refreshAgain = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #announcing
  /** @type {Generation[]} */
  #settled = []

  /**
   * @param {ShadowRoot} root
   * @param {Surroundings} surroundings
   * @param {LiveEvents} liveEvents
   * @param {((generation: Generation) => Promise<void>) | null} loadWorkflow
   */
  constructor(root, surroundings, liveEvents, loadWorkflow) {
    this.#root = root
    this.#surroundings = surroundings
    this.#liveEvents = liveEvents
    this.#history = new History(surroundings.client)
    this.#nearest = new NearestTurn((sentence) => this.#shell.announce(sentence), surroundings)
    this.#account = new AccountElement(surroundings)
    this.#dialog = new ImageDialogElement(surroundings)
    this.#dialog.loadWorkflow = loadWorkflow
    const title = surroundings.strings.say('history.title')
    this.#shell = new PanelShell({ surroundings, title, refresh: () => this.#refresh() })
    this.#undo = new UndoBarElement(surroundings.strings.say('history.undo'))
    this.#grid = new CardGrid({
      scroller: this.#scroller,
      list: this.#list,
      history: this.#history,
      surroundings,
      onReach: (first, after) => this.#reached(first, after),
    })
  }

  start() {
    this.#build()
    this.#shell.addEventListener('change', () => this.#draw())
    this.#history.addEventListener('change', () => this.#draw())
    this.#history.addEventListener('settled', (event) => this.#announce(/** @type {CustomEvent} */ (event).detail))
    this.#scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true })
    this.#arrived.addEventListener('click', () => this.#letIn())
    this.#list.addEventListener('genonaut-open', (event) => this.#open(idOf(event)))
    this.#dialog.addEventListener('genonaut-step', (event) => this.#step(/** @type {CustomEvent} */ (event).detail.by))
    this.#dialog.addEventListener('close', () => this.#closed())
    for (const part of [this.#list, this.#dialog])
      part.addEventListener('genonaut-cancel', (event) => this.#cancel(idOf(event)))
    this.#dialog.addEventListener('genonaut-repeat', (event) => this.#repeat(idOf(event)))
    this.#dialog.addEventListener('genonaut-favourite', (event) => this.#like(/** @type {CustomEvent} */ (event).detail))
    this.#dialog.addEventListener('genonaut-rename', (event) => this.#rename(/** @type {CustomEvent} */ (event).detail))
    this.#dialog.addEventListener('genonaut-trash', (event) => this.#trash(idOf(event)))
    this.#account.addEventListener('genonaut-logged-out', () => location.reload())
    this.#undo.addEventListener('genonaut-undo', (event) => this.#restore(idOf(event)))
    this.#stopListening = this.#liveEvents.listen({
      hello: () => this.#refresh(),
      away: () => this.#refresh(),
      generation: (generation) => this.#history.put(generation),
      progress: ({ id, progress }) => this.#history.putProgress(id, progress),
      waiting: (turns) => this.#moved(turns),
    })
    this.#grid.start()
    this.#draw()
    this.#refresh()
  }

  stop() {
    this.#shell.stop()
    this.#stopListening()
    this.#history.stop()
    this.#grid.stop()
    this.#nearest.stop()
    clearTimeout(this.#announcing)
  }

  #build() {
    const { strings } = this.#surroundings
    this.#shell.build(this.#account, this.#arrived, this.#scroller, this.#undo)
    this.#list.setAttribute('aria-labelledby', 'heading')
    this.#empty.replaceChildren(
      icon('picture'),
      h('strong', { textContent: strings.say('history.emptyTitle') }),
      h('span', { textContent: strings.say('history.emptyText') }),
    )
    this.#root.replaceChildren(this.#shell.element, this.#dialog)
  }

  #draw() {
    const { strings } = this.#surroundings
    const { isKnown, isComplete, isEmpty, arrivalCount, length } = this.#history
    const { trouble } = this.#shell
    this.#empty.hidden = !isEmpty
    this.#grid.skeletons = isKnown ? (isComplete || trouble ? 0 : 2) : trouble ? 0 : FIRST_SKELETONS
    this.#list.ariaBusy = String(!isKnown && !trouble)
    this.#tail.hidden = !isComplete || length < READ_AHEAD
    setText(this.#tail, strings.say('history.end'))
    this.#arrived.hidden = arrivalCount === 0
    if (arrivalCount > 0)
      this.#arrived.replaceChildren(icon('up'), strings.say('history.arrived', { count: arrivalCount }))
    this.#drawDialog()
    this.#grid.schedule()
  }

  #drawDialog() {
    const { shown, isOpen } = this.#dialog
    if (!isOpen || !shown) return
    const generation = this.#history.get(shown.generation.id)
    if (generation) this.#show(generation, shown.imageIndex)
  }

  /**
   * @param {Generation} generation
   * @param {number} imageIndex
   */
  #show(generation, imageIndex) {
    const index = this.#history.indexOf(generation.id)
    this.#dialog.show(generation, imageIndex, {
      previous: index > 0 || imageIndex > 0,
      next: imageIndex + 1 < generation.images.length || index + 1 < this.#history.length || !this.#history.isComplete,
    })
  }

  /** Reads anew; once more afterwards where it was asked for meanwhile. */
  async #refresh() {
    if (this.#shell.isStopped) return
    if (this.#isRefreshing) {
      this.#refreshAgain = true
      return
    }
    this.#isRefreshing = true
    try {
      await this.#shell.attempt(async () => {
        await Promise.all([this.#history.refresh(), this.#account.refresh()])
        this.#shell.recovered()
      })
    } finally {
      this.#isRefreshing = false
    }
    if (this.#refreshAgain) {
      this.#refreshAgain = false
      await this.#refresh()
    }
  }

  /** @param {Turns} turns */
  #moved(turns) {
    this.#history.putTurns(turns)
    this.#nearest.show(this.#history.get(turns.items[0]?.id ?? '') ?? undefined)
  }

  /**
   * @param {number} first
   * @param {number} after
   */
  #reached(first, after) {
    if (this.#shell.trouble || !this.#history.isKnown) return
    this.#shell.attempt(async () => {
      await this.#history.ensure(first, after - 1)
      if (after + READ_AHEAD > this.#history.length) await this.#history.readMore()
    })
  }

  #scrolled() {
    const isReading = this.#scroller.scrollTop > READING_PX
    if (isReading) this.#history.isHolding = true
    else if (this.#history.isHolding) this.#history.release()
  }

  #letIn() {
    this.#history.release()
    this.#scroller.scrollTop = 0
    const newest = this.#history.idAt(0)
    if (newest) this.#grid.focus(newest)
  }

  /** @param {string} id */
  #open(id) {
    const generation = this.#history.get(id)
    if (!generation) return
    const cover = coverOf(generation)
    this.#show(generation, cover ? generation.images.indexOf(cover) : 0)
  }

  #closed() {
    const id = this.#dialog.shown?.generation.id
    if (id && !this.#shell.isStopped) this.#grid.focus(id)
  }

  /** @param {number} by */
  async #step(by) {
    const { shown } = this.#dialog
    if (!shown) return
    const imageIndex = shown.imageIndex + by
    if (shown.generation.images[imageIndex]) return this.#show(shown.generation, imageIndex)
    const index = this.#history.indexOf(shown.generation.id) + by
    await this.#shell.attempt(async () => {
      if (index >= this.#history.length) await this.#history.readMore()
      await this.#history.ensure(index, index)
    })
    const generation = index < 0 ? null : this.#history.at(index)
    if (generation && this.#dialog.isOpen)
      this.#show(generation, by > 0 ? 0 : Math.max(0, generation.images.length - 1))
  }

  /** @param {string} id */
  async #cancel(id) {
    const generation = this.#history.get(id)
    if (!generation) return
    this.#history.put({ ...generation, cancel_requested: true })
    await this.#shell.attempt(async () => this.#history.put(await this.#cancelled(id, generation)))
  }

  /**
   * @param {string} id
   * @param {Generation} before
   */
  async #cancelled(id, before) {
    try {
      return await this.#surroundings.client.cancel(id)
    } catch (error) {
      // It may have ended in the meantime: the state that it really has says more than the refusal.
      if (error instanceof SidecarError && error.code === 'not_cancellable') return this.#surroundings.client.generation(id)
      this.#history.put(before)
      throw error
    }
  }

  /** @param {string} id */
  #repeat(id) {
    return this.#act(async (client, strings) => {
      this.#history.put(await client.repeat(id))
      this.#dialog.say(strings.say('dialog.repeated'))
    })
  }

  /** @param {{ id: string, favourite: boolean }} wanted */
  #like({ id, favourite }) {
    return this.#act(async (client) => this.#history.put(await client.change(id, { favourite })))
  }

  /** @param {{ id: string, title: string, tags: string[] }} wanted */
  #rename({ id, title, tags }) {
    return this.#act(async (client) => this.#history.put(await client.change(id, { title, tags })))
  }

  /** @param {string} id */
  #trash(id) {
    return this.#act(async (client, strings) => {
      const trashed = await client.trash(id)
      const index = this.#history.indexOf(id)
      this.#history.put(trashed)
      this.#dialog.close()
      const neighbour = this.#history.idAt(Math.min(index, this.#history.length - 1))
      if (neighbour) this.#grid.focus(neighbour)
      this.#undo.offer(id, strings.say('history.deleted', { name: nameOf(trashed, strings) }))
      this.#undo.focus()
    })
  }

  /** @param {string} id */
  #restore(id) {
    return this.#act(async (client) => {
      this.#history.putBack(await client.restore(id))
      this.#grid.focus(id)
    })
  }

  /**
   * Does what somebody wanted, and tells them where it fails.
   *
   * @param {(client: Surroundings['client'], strings: Surroundings['strings']) => Promise<void>} doing
   */
  async #act(doing) {
    const { client, strings } = this.#surroundings
    this.#shell.refusal = null
    try {
      await doing(client, strings)
    } catch (error) {
      if (!(error instanceof SidecarError)) throw error
      if (this.#dialog.isOpen) this.#dialog.refuse(error)
      else this.#shell.refusal = error
    }
  }

  /**
   * Says it to screen readers, several together where several end at once.
   *
   * @param {Generation} generation
   */
  #announce(generation) {
    const { strings, formats } = this.#surroundings
    this.#settled.push(generation)
    clearTimeout(this.#announcing)
    this.#announcing = setTimeout(() => {
      const sentences = this.#settled.map((one) =>
        strings.say('history.settled', { state: stateOf(one, strings, formats).text, name: nameOf(one, strings) }),
      )
      const count = sentences.length
      this.#shell.announce(count > 2 ? strings.say('history.settledMany', { count }) : sentences.join(' '))
      this.#settled = []
    }, ANNOUNCE_AFTER_MS)
  }
}

/**
 * @param {Event} event
 * @returns {string}
 */
function idOf(event) {
  return /** @type {CustomEvent} */ (event).detail.id
}
