/** @import { LiveListener } from './types.js' */

import { parseExactly } from './exact_json.js'

const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 15_000

/**
 * The sidecar's event stream: one connection however many listen, open only while somebody does.
 *
 * `EventSource` gives up for good when it is answered with an error, which is what ComfyUI's proxy does while the
 * sidecar is away. So each break closes it, and it is opened anew after a wait that doubles, with jitter, so that
 * a room full of browsers does not come back in the same instant.
 */
export class LiveEvents {
  #url
  /** @type {Set<LiveListener>} */
  #listeners = new Set()
  /** @type {EventSource | null} */
  #source = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #breaks = 0
  #open = false

  /** @param {string} url */
  constructor(url) {
    this.#url = url
  }

  /**
   * @param {LiveListener} listener
   * @returns {() => void} call it to stop listening; the last one closes the stream
   */
  listen(listener) {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) this.#start()
    else if (this.#open) listener.hello?.()
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop()
    }
  }

  #start() {
    window.addEventListener('online', this.#connectNow)
    this.#connect()
  }

  #stop() {
    window.removeEventListener('online', this.#connectNow)
    clearTimeout(this.#timer)
    this.#disconnect()
    this.#breaks = 0
  }

  #connectNow = () => {
    if (this.#open) return
    clearTimeout(this.#timer)
    this.#disconnect()
    this.#connect()
  }

  #connect() {
    const source = new EventSource(this.#url)
    this.#source = source
    source.addEventListener('hello', () => {
      this.#breaks = 0
      this.#open = true
      for (const listener of this.#listeners) listener.hello?.()
    })
    source.addEventListener('generation', (event) => {
      const generation = parseExactly(event.data)
      for (const listener of this.#listeners) listener.generation?.(generation)
    })
    source.addEventListener('progress', (event) => {
      const change = parseExactly(event.data)
      for (const listener of this.#listeners) listener.progress?.(change)
    })
    source.addEventListener('waiting', (event) => {
      const turns = parseExactly(event.data)
      for (const listener of this.#listeners) listener.waiting?.(turns)
    })
    source.addEventListener('quota', (event) => {
      const quota = parseExactly(event.data)
      for (const listener of this.#listeners) listener.quota?.(quota)
    })
    source.addEventListener('quota_warning', (event) => {
      const warning = parseExactly(event.data)
      for (const listener of this.#listeners) listener.quotaWarning?.(warning)
    })
    source.addEventListener('error', () => this.#retry())
  }

  #disconnect() {
    this.#source?.close()
    this.#source = null
    this.#open = false
  }

  #retry() {
    this.#disconnect()
    for (const listener of this.#listeners) listener.away?.()
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#breaks)
    this.#breaks += 1
    this.#timer = setTimeout(() => this.#connect(), longest * (0.5 + Math.random() / 2))
  }
}
