/** @import { Generation, Me, Page, Quota, Session, ThumbnailSize, Token, UsageDay, Workflow } from './types.js' */

import { parseExactly } from './exact_json.js'

const ANSWER_WITHIN_MS = 15_000
const NO_CONTENT = 204

/** What the sidecar refused, or that it did not answer. `message` is a sentence for people. */
export class SidecarError extends Error {
  /**
   * @param {string} message
   * @param {object} how
   * @param {string} how.code
   * @param {number} [how.status]
   * @param {number | null} [how.retryAfterS]
   * @param {{ [name: string]: any }} [how.facts] what belongs to the code
   * @param {unknown} [how.cause]
   */
  constructor(message, { code, status = 0, retryAfterS = null, facts = {}, cause }) {
    super(message, { cause })
    this.name = 'SidecarError'
    this.code = code
    /** 0 where no answer came at all. */
    this.status = status
    this.retryAfterS = retryAfterS
    this.facts = facts
  }

  /** Has the session ended, so that logging in again is all that helps? */
  get isLoggedOut() {
    return this.status === 401
  }

  /** Does nobody answer, so that trying again later is all that helps? */
  get isAway() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504
  }
}

/** Speaks HTTP to the sidecar, through ComfyUI's own origin. Keeps nothing. */
export class SidecarClient {
  #base
  #fetch

  /**
   * @param {string} base where the API lies, without a slash at its end: `/genonaut/api/v1`, or below a prefix
   * @param {typeof fetch} [fetchFunction]
   */
  constructor(base, fetchFunction = (...request) => fetch(...request)) {
    this.#base = base
    this.#fetch = fetchFunction
  }

  /**
   * One page of the history, newest first.
   *
   * @param {{ cursor?: string | null, limit: number, signal?: AbortSignal }} page
   * @returns {Promise<Page>}
   */
  generations({ cursor = null, limit, signal }) {
    const query = new URLSearchParams({ limit: String(limit) })
    if (cursor !== null) query.set('cursor', cursor)
    return this.#ask(`/generations?${query}`, { signal })
  }

  /**
   * What waits, next ones first.
   *
   * @param {number} limit
   * @param {AbortSignal} signal
   * @returns {Promise<Page>}
   */
  waiting(limit, signal) {
    return this.#ask(`/generations?${new URLSearchParams({ state: 'pending', sort: 'turn', limit: String(limit) })}`, { signal })
  }

  /**
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<Generation>}
   */
  generation(id, signal) {
    return this.#ask(`/generations/${encodeURIComponent(id)}`, { signal })
  }

  /**
   * @param {string} id
   * @returns {Promise<Workflow>}
   */
  workflow(id) {
    return this.#ask(`/generations/${encodeURIComponent(id)}/workflow`)
  }

  /**
   * @param {string} id
   * @returns {Promise<Generation>}
   */
  cancel(id) {
    return this.#ask(`/generations/${encodeURIComponent(id)}/cancel`, { method: 'POST' })
  }

  /**
   * Does it again with another seed; the same again where the workflow has no seed that can be found.
   *
   * @param {string} id
   * @returns {Promise<Generation>}
   */
  async repeat(id) {
    const path = `/generations/${encodeURIComponent(id)}/repeat`
    const atOnce = { priority: 0 } // somebody looks on: before their own batches
    try {
      return await this.#tell(path, 'POST', { ...atOnce, parameters: { seed: 'random' } })
    } catch (error) {
      if (!(error instanceof SidecarError) || error.code !== 'invalid_parameters') throw error
      return this.#tell(path, 'POST', atOnce)
    }
  }

  /**
   * @param {string} id
   * @param {{ title?: string, tags?: string[], favourite?: boolean }} patch
   * @returns {Promise<Generation>}
   */
  change(id, patch) {
    return this.#tell(`/generations/${encodeURIComponent(id)}`, 'PATCH', patch)
  }

  /**
   * Into the trash with it.
   *
   * @param {string} id
   * @returns {Promise<Generation>}
   */
  trash(id) {
    return this.#ask(`/generations/${encodeURIComponent(id)}`, { method: 'DELETE' })
  }

  /**
   * Out of the trash again.
   *
   * @param {string} id
   * @returns {Promise<Generation>}
   */
  restore(id) {
    return this.#ask(`/generations/${encodeURIComponent(id)}/restore`, { method: 'POST' })
  }

  /** @returns {Promise<Me>} */
  me() {
    return this.#ask('/me')
  }

  /**
   * What holds for whoever asks, and what of it is used.
   *
   * @returns {Promise<Quota>}
   */
  quota() {
    return this.#ask('/quota')
  }

  /**
   * What was used since a moment, day by day; days without anything are left out.
   *
   * @param {Date} from
   * @returns {Promise<{ items: UsageDay[] }>}
   */
  usageByDay(from) {
    return this.#ask(`/usage?${new URLSearchParams({ by: 'day', from: from.toISOString() })}`)
  }

  /** @returns {Promise<void>} */
  logOut() {
    return this.#ask('/sessions/current', { method: 'DELETE' })
  }

  /**
   * @param {string} current
   * @param {string} wanted
   * @returns {Promise<void>}
   */
  changePassword(current, wanted) {
    return this.#tell('/me/password', 'PUT', { current, new: wanted })
  }

  /** @returns {Promise<{ items: Session[] }>} */
  sessions() {
    return this.#ask('/me/sessions')
  }

  /**
   * @param {string} id
   * @returns {Promise<void>}
   */
  endSession(id) {
    return this.#ask(`/me/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' })
  }

  /** @returns {Promise<void>} */
  endOtherSessions() {
    return this.#ask('/me/sessions', { method: 'DELETE' })
  }

  /** @returns {Promise<{ items: Token[] }>} */
  tokens() {
    return this.#ask('/me/tokens')
  }

  /**
   * @param {string} name
   * @param {string[]} scopes
   * @param {string | null} expiresAt RFC 3339
   * @returns {Promise<{ token: Token, secret: string }>}
   */
  makeToken(name, scopes, expiresAt) {
    return this.#tell('/me/tokens', 'POST', { name, scopes, expires_at: expiresAt })
  }

  /**
   * @param {string} id
   * @returns {Promise<void>}
   */
  revokeToken(id) {
    return this.#ask(`/me/tokens/${encodeURIComponent(id)}`, { method: 'DELETE' })
  }

  /** @param {string} imageId */
  imageUrl(imageId) {
    return `${this.#base}/images/${encodeURIComponent(imageId)}`
  }

  /**
   * @param {string} imageId
   * @param {ThumbnailSize} size
   */
  thumbnailUrl(imageId, size) {
    return `${this.imageUrl(imageId)}/thumbnail/${size}`
  }

  get eventsUrl() {
    return `${this.#base}/events`
  }

  /**
   * @param {string} path
   * @param {string} method
   * @param {object} content
   */
  #tell(path, method, content) {
    return this.#ask(path, { method, body: JSON.stringify(content), headers: { 'Content-Type': 'application/json' } })
  }

  /**
   * @param {string} path
   * @param {RequestInit & { signal?: AbortSignal }} [request]
   * @returns {Promise<any>}
   * @throws {SidecarError}
   * @throws {DOMException} `AbortError`, where the caller's own signal ended it
   */
  async #ask(path, { signal, ...request } = {}) {
    const tooLong = AbortSignal.timeout(ANSWER_WITHIN_MS)
    try {
      const response = await this.#fetch(this.#base + path, {
        ...request,
        headers: { Accept: 'application/json', ...request.headers },
        signal: signal ? AbortSignal.any([signal, tooLong]) : tooLong,
      })
      if (!response.ok) throw await refusal(response)
      return response.status === NO_CONTENT ? undefined : parseExactly(await response.text())
    } catch (error) {
      if (error instanceof SidecarError || signal?.aborted) throw error
      throw withoutAnswer(error, tooLong.aborted)
    }
  }
}

/**
 * The error that a response tells of: RFC 9457 problem details, or what a proxy in between answered.
 *
 * @param {Response} response
 */
async function refusal(response) {
  const problem = await response.json().catch(() => ({}))
  const header = Number(response.headers.get('Retry-After') ?? NaN)
  return new SidecarError(problem.detail ?? `${response.status} ${response.statusText}`, {
    code: problem.code ?? 'no_sidecar_answer',
    status: response.status,
    retryAfterS: problem.retry_after_s ?? (Number.isFinite(header) ? header : null),
    facts: problem,
  })
}

/**
 * @param {unknown} cause
 * @param {boolean} tookTooLong
 */
function withoutAnswer(cause, tookTooLong) {
  return tookTooLong
    ? new SidecarError('Genonaut took too long to answer.', { code: 'timeout', cause })
    : new SidecarError('Genonaut cannot be reached.', { code: 'unreachable', cause })
}
