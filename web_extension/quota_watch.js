/**
 * @import { LiveEvents } from './live_events.js'
 * @import { Quota, QuotaWarning } from './types.js'
 */

import { keyOf, levelOf } from './quota_wording.js'
import { SidecarError } from './sidecar_client.js'

const TRY_AGAIN_AFTER_MS = 10_000
/** Past the moment at which something is free again, so that the sidecar's clock has passed it, too. */
const LATER_MS = 500
/** What nobody tells, such as another day's salt, is seen after this time at the latest. */
const LOOK_AT_LATEST_MS = 600_000

/**
 * Knows how the quota of whoever looks at the page stands, as long as the page can be seen: a hidden one would keep a
 * connection to ComfyUI, of which a browser has six.
 *
 * @fires change - it stands differently, or cannot be asked (`trouble`)
 * @fires warning - a limit has come to 80 or 100 percent; once until it is below that again. `detail` holds `warning`
 *   and the `limit` as it stands now, and what becomes of what goes over it (`overLimit`)
 */
export class QuotaWatch extends EventTarget {
  #client
  #liveEvents
  /** @type {(() => void) | null} */
  #stopListening = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  /** Which were warned of, with the percentage. @type {Set<string>} */
  #warned = new Set()
  /** Where nobody logs in, whoever asks from elsewhere has a quota of their own, and the stream tells the owner's. */
  #isOpen = true
  #knowsAccess = false
  #reads = 0

  /** @type {Quota | null} */
  quota = null
  /** Why it cannot be asked. @type {SidecarError | null} */
  trouble = null

  /**
   * @param {import('./sidecar_client.js').SidecarClient} client
   * @param {LiveEvents} liveEvents
   */
  constructor(client, liveEvents) {
    super()
    this.#client = client
    this.#liveEvents = liveEvents
  }

  start() {
    document.addEventListener('visibilitychange', this.#look)
    this.#look()
  }

  stop() {
    document.removeEventListener('visibilitychange', this.#look)
    this.#rest()
  }

  /** Asks anew. What fails is in `trouble`, and is tried again by itself. */
  async refresh() {
    const read = ++this.#reads
    try {
      const [quota] = await Promise.all([this.#client.quota(), this.#learnAccess()])
      if (read === this.#reads) this.#take(quota)
    } catch (error) {
      if (!(error instanceof SidecarError)) throw error
      if (read === this.#reads) this.#failed(error)
    }
  }

  async #learnAccess() {
    if (this.#knowsAccess) return
    this.#isOpen = (await this.#client.me()).access === 'open'
    this.#knowsAccess = true
  }

  #look = () => {
    if (document.visibilityState === 'hidden') this.#rest()
    else
      this.#stopListening ??= this.#liveEvents.listen({
        hello: () => this.refresh(),
        away: () => this.refresh(),
        quota: (quota) => this.#heard(quota),
        quotaWarning: (warning) => this.#warn(warning),
      })
  }

  #rest() {
    this.#stopListening?.()
    this.#stopListening = null
    clearTimeout(this.#timer)
  }

  /** @param {Quota} quota */
  #heard(quota) {
    if (this.#isOpen) return this.refresh()
    this.#reads += 1 // what is being read now is older
    this.#take(quota)
  }

  /** @param {Quota} quota */
  #take(quota) {
    this.quota = quota
    this.trouble = null
    for (const limit of quota.limits)
      for (const percent of [80, 100]) if (levelOf(limit) < percent) this.#warned.delete(`${keyOf(limit)} ${percent}`)
    this.#lookAgainAt(nextMoment(quota))
    this.dispatchEvent(new Event('change'))
  }

  /** @param {SidecarError} error */
  #failed(error) {
    this.trouble = error
    // Nobody is logged in: the stream ends, too, and says when there is somebody again.
    if (!error.isLoggedOut) this.#lookAgainAt(Date.now() + TRY_AGAIN_AFTER_MS)
    this.dispatchEvent(new Event('change'))
  }

  /** @param {QuotaWarning} warning */
  async #warn(warning) {
    if (this.#isOpen) await this.refresh()
    const which = keyOf({ name: warning.limit, group: warning.group })
    const overLimit = this.quota?.over_limit
    const limit = this.quota?.limits.find((one) => keyOf(one) === which)
    const warned = `${which} ${warning.percent}`
    if (!limit || levelOf(limit) < warning.percent || this.#warned.has(warned)) return
    this.#warned.add(warned)
    this.dispatchEvent(new CustomEvent('warning', { detail: { warning, limit, overLimit } }))
  }

  /** @param {number} moment unix milliseconds */
  #lookAgainAt(moment) {
    clearTimeout(this.#timer)
    if (this.#stopListening) this.#timer = setTimeout(() => this.refresh(), moment - Date.now())
  }
}

/**
 * When it stands differently by time alone, in unix milliseconds.
 *
 * @param {Quota} quota
 */
function nextMoment({ limits, waiting }) {
  const now = Date.now()
  const moments = [waiting.held_until, ...limits.flatMap((limit) => [limit.next_free_at, limit.refills_at])]
    .map((moment) => Date.parse(moment ?? '') + LATER_MS)
    .filter((moment) => moment > now)
  return Math.max(now + 2 * LATER_MS, Math.min(now + LOOK_AT_LATEST_MS, ...moments))
}
