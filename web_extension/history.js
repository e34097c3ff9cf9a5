/** @import { Generation, GenerationSource, Progress, Turns } from './types.js' */

/**
 * What the panel knows of the history, newest first: an index over everything that was scrolled past, and the
 * generations themselves only for the part around the reader.
 *
 * `recent` begins with the first page, grows with what arrives, and is kept. Below it lie the older pages; each
 * remembers the cursor it was read with, so that it can be dropped from memory and read again: keyset cursors stay
 * true whatever is added above them. So 100 000 generations cost their ids, not their prompts.
 *
 * @fires change - what is known changed; once for each change, so listeners gather
 * @fires settled - a generation that was open has ended. `detail` is the generation
 */
export class History extends EventTarget {
  #source
  #pageSize
  #keptPages

  /** @type {Map<string, Generation>} */
  #known = new Map()
  /** @type {string[]} */
  #recent = []
  /** @type {OlderPage[]} */
  #pages = []
  /** @type {Map<string, OlderPage>} */
  #pageOf = new Map()
  /** @type {Map<string, Generation>} */
  #arrivals = new Map()
  /** @type {string | null} */
  #nextCursor = null
  /** @type {Promise<void> | null} */
  #reading = null
  /**
   * One for each page that is being read: what the event stream tells meanwhile, which the page may not know yet.
   *
   * @type {Set<Map<string, Generation>>}
   */
  #hearing = new Set()
  /** The last that was told of the line. @type {Turns | null} */
  #told = null
  #uses = 0
  #stopped = new AbortController()

  /** Was the first page read? Until then nothing can be said, not even that there is nothing. */
  isKnown = false
  /** Do new generations wait as arrivals, because somebody reads further down? */
  isHolding = false

  /**
   * @param {GenerationSource} source
   * @param {{ pageSize?: number, keptPages?: number }} [limits]
   */
  constructor(source, { pageSize = 50, keptPages = 20 } = {}) {
    super()
    this.#source = source
    this.#pageSize = pageSize
    this.#keptPages = keptPages
  }

  /** How many there are as far as has been read. */
  get length() {
    const last = this.#pages.at(-1)
    return this.#recent.length + (last ? last.start + last.ids.length : 0)
  }

  /** Has the oldest one been read? */
  get isComplete() {
    return this.isKnown && this.#nextCursor === null
  }

  get isEmpty() {
    return this.isKnown && this.length === 0 && this.#arrivals.size === 0
  }

  /** How many new ones wait to be let in. */
  get arrivalCount() {
    return this.#arrivals.size
  }

  /**
   * @param {number} index 0: the newest
   * @returns {string | null}
   */
  idAt(index) {
    if (index < this.#recent.length) return this.#recent[index] ?? null
    const page = this.#pageAt(index)
    return page?.ids[index - this.#recent.length - page.start] ?? null
  }

  /**
   * @param {number} index
   * @returns {Generation | null} null where it is not in memory now
   */
  at(index) {
    const id = this.idAt(index)
    return id === null ? null : (this.#known.get(id) ?? null)
  }

  /** @param {string} id */
  get(id) {
    return this.#known.get(id) ?? null
  }

  /**
   * @param {string} id
   * @returns {number} -1 where it is not known
   */
  indexOf(id) {
    const page = this.#pageOf.get(id)
    return page ? this.#recent.length + page.start + page.ids.indexOf(id) : this.#recent.indexOf(id)
  }

  /**
   * Brings what is known up to date, after a time in which nobody listened. Keeps the reader's place.
   *
   * @throws {import('./sidecar_client.js').SidecarError}
   */
  async refresh() {
    const page = await this.#read(null)
    const overlaps = this.isKnown && page.items.some((item) => this.#known.has(item.id))
    if (overlaps) this.#merge(page.items)
    else this.#startOver(page)
    this.isKnown = true
    for (const generation of page.heard.values()) this.#take(generation)
    this.#changed()
    await this.#refreshOpen(new Set(page.items.map((item) => item.id)))
  }

  /**
   * Reads the next older page, if there is one. Called twice at once, it reads once.
   *
   * @throws {import('./sidecar_client.js').SidecarError}
   */
  readMore() {
    if (!this.isKnown || this.isComplete) return Promise.resolve()
    this.#reading ??= this.#readOlder().finally(() => (this.#reading = null))
    return this.#reading
  }

  /**
   * Sees to it that these are in memory and true, and lets go of what is far from them.
   *
   * @param {number} first
   * @param {number} last
   * @throws {import('./sidecar_client.js').SidecarError}
   */
  async ensure(first, last) {
    for (const index of [first, last]) {
      const page = this.#pageAt(index)
      if (page === null) continue
      page.lastUse = ++this.#uses
      if (!page.isFresh && !page.isReading) await this.#readAgain(page)
    }
  }

  /**
   * Takes in what the event stream says of one generation.
   *
   * @param {Generation} generation
   */
  put(generation) {
    for (const heard of this.#hearing) heard.set(generation.id, generation)
    if (!this.isKnown) return // the first page will tell
    this.#take(generation)
    this.#changed()
  }

  /**
   * @param {string} id
   * @param {Progress} progress
   */
  putProgress(id, progress) {
    const before = this.#known.get(id)
    if (!before || !isOpen(before)) return
    this.#known.set(id, { ...before, progress })
    this.#changed()
  }

  /**
   * Takes in one that came out of the trash: where it was, also while somebody reads further down.
   *
   * @param {Generation} generation
   */
  putBack(generation) {
    const oldest = this.#known.get(this.#recent.at(-1) ?? '')
    this.#arrivals.delete(generation.id)
    if (this.#known.has(generation.id)) this.#take(generation)
    else if (this.#pages.length === 0 || !oldest || isNewer(generation, oldest)) this.#addRecent([generation])
    else for (const page of this.#pages) page.isFresh = false
    this.#changed()
  }

  /**
   * Takes in where those stand that wait.
   *
   * @param {Turns} turns
   */
  putTurns(turns) {
    this.#told = turns
    const place = placing(turns)
    for (const [id, known] of this.#known) this.#known.set(id, place(known))
    this.#changed()
  }

  /** Lets in what waited. */
  release() {
    this.isHolding = false
    if (this.#arrivals.size === 0) return
    this.#addRecent([...this.#arrivals.values()])
    this.#arrivals.clear()
    this.#changed()
  }

  /** Ends what is being read. Nothing can be read afterwards. */
  stop() {
    this.#stopped.abort()
  }

  /**
   * One page, and what was heard while it was read. A generation that began meanwhile is not on the page and would
   * be taken for deleted; one that ended would be shown as it was.
   *
   * @param {string | null} cursor
   */
  async #read(cursor) {
    /** @type {Map<string, Generation>} */
    const heard = new Map()
    const toldBefore = this.#told
    this.#hearing.add(heard)
    try {
      const request = { cursor, limit: this.#pageSize, signal: this.#stopped.signal }
      const { items, next_cursor: nextCursor } = await this.#source.generations(request)
      const place = this.#told && this.#told !== toldBefore ? placing(this.#told) : (/** @type {Generation} */ item) => item
      const latest = items.map((item) => place(later(item, heard.get(item.id))))
      return { items: latest.filter((item) => !item.trashed_at), nextCursor, heard }
    } finally {
      this.#hearing.delete(heard)
    }
  }

  async #readOlder() {
    const cursor = this.#nextCursor
    if (cursor === null) return
    const { items, nextCursor } = await this.#read(cursor)
    if (cursor !== this.#nextCursor) return // started over meanwhile
    const last = this.#pages.at(-1)
    const page = new OlderPage(cursor, last ? last.start + last.ids.length : 0)
    this.#pages.push(page)
    this.#fill(page, items)
    this.#nextCursor = nextCursor
    this.#letGo()
    this.#changed()
  }

  /** @param {OlderPage} page */
  async #readAgain(page) {
    page.isReading = true
    try {
      const { items } = await this.#read(page.cursor)
      if (!this.#pages.includes(page)) return
      const countBefore = page.ids.length
      this.#fill(page, items)
      if (page.ids.length !== countBefore) this.#countAnew()
    } finally {
      page.isReading = false
    }
    this.#letGo()
    this.#changed()
  }

  /**
   * @param {OlderPage} page
   * @param {Generation[]} items
   */
  #fill(page, items) {
    for (const id of page.ids) this.#pageOf.delete(id)
    const older = items.filter((item) => !this.#recent.includes(item.id))
    page.ids = older.map((item) => item.id)
    page.isFresh = true
    page.lastUse = ++this.#uses
    for (const item of older) {
      this.#known.set(item.id, item)
      this.#pageOf.set(item.id, page)
    }
  }

  /** After a page has shrunk: something in it was deleted. */
  #countAnew() {
    let start = 0
    for (const page of this.#pages) {
      page.start = start
      start += page.ids.length
    }
  }

  /** Drops the generations of the pages that were not looked at for the longest time. */
  #letGo() {
    const inMemory = this.#pages.filter((page) => page.isFresh).sort((a, b) => b.lastUse - a.lastUse)
    for (const page of inMemory.slice(this.#keptPages)) {
      page.isFresh = false
      for (const id of page.ids) this.#known.delete(id)
    }
  }

  /**
   * @param {number} index
   * @returns {OlderPage | null}
   */
  #pageAt(index) {
    const wanted = index - this.#recent.length
    if (wanted < 0) return null
    let low = 0
    let high = this.#pages.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#pages[middle]?.start ?? 0) <= wanted) low = middle
      else high = middle - 1
    }
    return this.#pages[low] ?? null
  }

  /** @param {{ items: Generation[], nextCursor: string | null }} page */
  #startOver({ items, nextCursor }) {
    this.#known = new Map(items.map((item) => [item.id, item]))
    this.#recent = items.map((item) => item.id)
    this.#pages = []
    this.#pageOf.clear()
    this.#arrivals.clear()
    this.#nextCursor = nextCursor
  }

  /** @param {Generation[]} newest the first page, which overlaps with what is known */
  #merge(newest) {
    const present = new Set(newest.map((item) => item.id))
    const oldest = newest.at(-1)
    const isDeleted = (/** @type {string} */ id) => {
      const generation = this.#known.get(id)
      return !present.has(id) && generation && oldest && isNewer(generation, oldest)
    }
    for (const id of this.#recent.filter(isDeleted)) this.#known.delete(id)
    this.#recent = this.#recent.filter((id) => this.#known.has(id))
    for (const item of newest) {
      const before = this.#known.get(item.id)
      if (before) this.#replace(before, item)
      else this.#arrive(item)
    }
    for (const page of this.#pages) page.isFresh = false
  }

  /**
   * What was open and is not on the first page may have ended unseen.
   *
   * @param {Set<string>} seen
   */
  async #refreshOpen(seen) {
    const open = this.#recent.map((id) => this.#known.get(id)).filter((generation) => generation && isOpen(generation))
    for (const generation of open)
      if (generation && !seen.has(generation.id))
        this.put(await this.#source.generation(generation.id, this.#stopped.signal))
  }

  /** @param {Generation} generation */
  #take(generation) {
    const before = this.#known.get(generation.id)
    if (generation.trashed_at) this.#remove(generation)
    else if (before) this.#replace(before, generation)
    else if (!this.#pageOf.has(generation.id)) this.#arrive(generation)
  }

  /** @param {Generation} generation one that lies in the trash */
  #remove({ id }) {
    this.#arrivals.delete(id)
    this.#known.delete(id)
    this.#recent = this.#recent.filter((one) => one !== id)
    const page = this.#pageOf.get(id)
    if (!page) return
    page.ids = page.ids.filter((one) => one !== id)
    this.#pageOf.delete(id)
    this.#countAnew()
  }

  /** @param {Generation} generation one that is not known */
  #arrive(generation) {
    if (this.isHolding) this.#arrivals.set(generation.id, generation)
    else this.#addRecent([generation])
  }

  /**
   * Puts them in their place among the recent ones. What is older than those is left to its page.
   *
   * @param {Generation[]} generations
   */
  #addRecent(generations) {
    const oldest = this.#known.get(this.#recent.at(-1) ?? '')
    const added = generations.filter((item) => this.isComplete || !oldest || isNewer(item, oldest))
    for (const item of added) this.#known.set(item.id, item)
    const all = [...added.map((item) => item.id), ...this.#recent]
    this.#recent = all.sort((a, b) => {
      const [first, second] = [this.#known.get(a), this.#known.get(b)]
      return first && second && isNewer(first, second) ? -1 : 1
    })
  }

  /**
   * @param {Generation} before
   * @param {Generation} after
   */
  #replace(before, after) {
    if (later(before, after) === before) return
    const stillRuns = before.state === 'running' && after.state === 'running'
    const progress = after.progress ?? (stillRuns ? before.progress : null)
    this.#known.set(after.id, { ...after, progress })
    if (isOpen(before) && !isOpen(after)) this.dispatchEvent(new CustomEvent('settled', { detail: after }))
  }

  #changed() {
    this.dispatchEvent(new Event('change'))
  }
}

/** A page below the recent ones. */
class OlderPage {
  /** @type {string[]} */
  ids = []
  /** Are its generations in memory, and no older than the last time the stream was opened? */
  isFresh = false
  isReading = false
  lastUse = 0

  /**
   * @param {string} cursor
   * @param {number} start how many generations lie between the recent ones and this page
   */
  constructor(cursor, start) {
    this.cursor = cursor
    this.start = start
  }
}

/** @param {Generation} generation */
export function isOpen({ state }) {
  return state === 'pending' || state === 'submitted' || state === 'running'
}

/**
 * @param {Generation} one
 * @param {Generation} other
 */
function isNewer(one, other) {
  return one.created_at === other.created_at ? one.id > other.id : isLater(one.created_at, other.created_at)
}

/**
 * How a generation stands after two tellings of it that may have overtaken each other.
 *
 * @param {Generation} one
 * @param {Generation | undefined} other
 */
function later(one, other) {
  return other && !isLater(one.updated_at, other.updated_at) ? other : one
}

/**
 * Gives each that waits the place that was told. Of those that are not told it is known that they come after the others,
 * or else nothing: such a one came later, or goes just now.
 *
 * @param {Turns} turns
 * @returns {(generation: Generation) => Generation}
 */
function placing({ items, count }) {
  const told = new Map(items.map(({ id, place, waiting }) => [id, { place, waiting, place_at_least: undefined }]))
  const farther = { place: null, waiting: null, place_at_least: items.at(-1)?.place }
  return (generation) => {
    if (generation.state !== 'pending') return generation
    const standing = told.get(generation.id) ?? (count > items.length ? farther : {})
    return { ...generation, ...standing }
  }
}

/**
 * Of two RFC 3339 times in UTC. As text, since a Date knows no microseconds; without the Z, since fractions that are
 * zero may be left out, and "Z" sorts after ".".
 *
 * @param {string} one
 * @param {string} other
 */
function isLater(one, other) {
  return one.slice(0, -1) > other.slice(0, -1)
}
