/**
 * @import { SidecarClient } from './sidecar_client.js'
 * @import { Generation, Turns } from './types.js'
 */

/** As many as the event stream tells of. */
const READ_AT_MOST = 50

/**
 * What somebody waits for, the next ones first: read once, and from then on as the event stream tells it.
 *
 * @fires change - others wait, or they have other places
 * @fires unknown - some of them have never been read: `read` is needed
 */
export class OwnLine extends EventTarget {
  #client
  /** @type {Map<string, Generation>} */
  #known = new Map()
  /** What was told while it was read is later than what was read. @type {Turns | null} */
  #told = null

  /** The next ones. @type {Generation[]} */
  items = []
  /** How many wait in all; null while only the first of them are known. @type {number | null} */
  count = null

  /** @param {SidecarClient} client */
  constructor(client) {
    super()
    this.#client = client
  }

  /**
   * @param {AbortSignal} signal
   * @throws {import('./sidecar_client.js').SidecarError}
   */
  async read(signal) {
    this.#told = null
    const page = await this.#client.waiting(READ_AT_MOST, signal)
    this.#known = new Map(page.items.map((item) => [item.id, item]))
    this.items = page.items
    this.count = page.next_cursor === null ? page.items.length : null
    if (this.#told) this.hear(this.#told)
    else this.dispatchEvent(new Event('change'))
  }

  /** @param {Generation} generation as it is now */
  put(generation) {
    if (generation.state === 'pending') this.#known.set(generation.id, { ...this.#known.get(generation.id), ...generation })
  }

  /** @param {Turns} turns */
  hear(turns) {
    this.#told = turns
    this.count = turns.count
    this.items = turns.items.flatMap(({ id, place, waiting }) => {
      const known = this.#known.get(id)
      return known ? [{ ...known, place, waiting }] : []
    })
    const wait = new Set(turns.items.map(({ id }) => id))
    for (const id of this.#known.keys()) if (!wait.has(id)) this.#known.delete(id)
    this.dispatchEvent(new Event('change'))
    if (this.items.length < turns.items.length) this.dispatchEvent(new Event('unknown'))
  }
}
