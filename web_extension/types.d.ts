/** What the sidecar's HTTP API hands to the panel, and what the parts of the panel hand to each other. */

import type { Formats } from './format.js'
import type { Strings } from './strings.js'

/** In which one reads and counts. */
export interface Language {
  strings: Strings
  formats: Formats
}

/** A text, and the language that it is in: the sidecar's own sentences are English. */
export interface Told {
  text: string
  lang: string
}

export type GenerationState =
  | 'pending'
  | 'submitted'
  | 'running'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'lost'

export type ThumbnailSize = 'small' | 'medium' | 'large'

export interface Progress {
  /** 0 to 1. */
  fraction: number
  node_id: string | null
  node_type: string | null
  step: number | null
  steps: number | null
}

export interface Image {
  id: string
  generation_id: string
  position: number
  state: 'expected' | 'kept' | 'missing' | 'corrupt'
  width: number | null
  height: number | null
  bytes: number | null
  media_type: string | null
  /** Base64. */
  thumbhash: string | null
  thumbnails: ThumbnailSize[]
}

export interface Lora {
  name: string
  strength_model: number
  strength_clip: number
}

export interface Sampler {
  seed?: number | string | null
  steps?: number | null
  cfg?: number | null
  sampler_name?: string | null
  scheduler?: string | null
  denoise?: number | null
}

export interface Waiting {
  own_before: number
  others_before: number
  people_before: number
  held_until: string | null
  /** When it will probably begin; null while nobody knows. */
  starts_at: Moments | null
  reason: Reason
  /** The reason in a sentence, in English. */
  why: string
}

export interface Moments {
  likely: string
  earliest: string
  latest: string
}

/** Why something waits: which facts belong to which code stands in the sidecar's README, below *Turns*. */
export interface Reason {
  code: string
  facts: { [name: string]: any }
}

/** How it stands with the next ones of all that somebody waits for, in the order of their turns. */
export interface Turns {
  items: { id: string; place: number; waiting: Waiting }[]
  /** How many wait in all. */
  count: number
}

export interface Generation {
  id: string
  number: number
  state: GenerationState
  cancel_requested: boolean
  title: string
  tags: string[]
  /** What it waits for; null once it is in ComfyUI's queue. */
  waiting: Waiting | null
  /** Why it waits though its turn has come. */
  waiting_reason: string | null
  not_before: string | null
  favourite: boolean
  /** The generation that it repeats. */
  parent_id: string | null
  /** How often it was repeated. */
  child_count: number
  prompt: string
  negative_prompt: string
  checkpoint: string
  loras: Lora[]
  width: number | null
  height: number | null
  batch_size: number | null
  sampler: Sampler | null
  source: 'page' | 'panel' | 'api' | 'outside'
  /** How many are ahead; 0: next. */
  place: number | null
  /** So many at least, as the panel reckons where nobody has told the place. */
  place_at_least?: number | undefined
  progress: Progress | null
  error: { code: string; message: string; node_id: string | null; node_type: string | null } | null
  /** Without those that are withheld. */
  images: Image[]
  /** While it waits to be looked at, and when it is hidden, administrators alone see its images. */
  review: 'waiting' | 'released' | 'hidden' | null
  gpu_seconds: number | null
  created_at: string
  submitted_at: string | null
  started_at: string | null
  finished_at: string | null
  updated_at: string
  /** Since when it lies in the trash. */
  trashed_at: string | null
}

export interface Page {
  items: Generation[]
  next_cursor: string | null
}

export interface Workflow {
  /** The graph in ComfyUI's API format. */
  workflow: object
  /** The same graph as the page draws it; absent for what came through the API. */
  ui_workflow: object | null
}

export interface Me {
  id: string
  name: string
  role: 'admin' | 'member' | 'guest'
  plan: string
  scopes: Scope[]
  access: 'open' | 'accounts' | 'proxy'
  session_id: string | null
}

export type Scope = 'read' | 'submit' | 'admin'

/** A browser in which somebody is logged in. */
export interface Session {
  id: string
  is_current: boolean
  address: string
  user_agent: string
  created_at: string
  seen_at: string
  ends_at: string
}

/** A token for programs, without its secret. */
export interface Token {
  id: string
  name: string
  scopes: Scope[]
  created_at: string
  expires_at: string | null
  used_at: string | null
}

export interface QuotaLimit {
  name: string
  /** Null: it is looked at for each generation by itself, and nothing is used up. */
  used: number | null
  allowed: number
  unit: 'generations' | 'gpu_seconds' | 'bytes' | 'pixels' | 'images' | 'steps' | 'frames'
  /** Of a window: over how many seconds it is counted, back from now. */
  window_s: number | null
  /** When all of what is used of a window will be free again. */
  refills_at: string | null
  /** When there is room for a further generation; null: now, or nobody knows. */
  next_free_at: string | null
  /** Whose it is; null: one's own. */
  group: string | null
}

/** What holds for somebody now, and what of it is used. Limits that there are not are left out. */
export interface Quota {
  plan: string
  over_limit: 'reject' | 'wait'
  limits: QuotaLimit[]
  waiting: {
    count: number
    /** When a limit lets the first of those go that it holds back. */
    held_until: string | null
    /** Why that one is held. */
    reason: Reason | null
    why: string | null
  }
}

/** A limit is nearly, or quite, used up. */
export interface QuotaWarning {
  limit: string
  group: string | null
  percent: 80 | 100
  used: number
  allowed: number
}

/** What was used on one day (UTC), as `2026-01-31`. */
export interface UsageDay {
  key: string
  submitted: number
  generations: number
  gpu_seconds: number
}

/** Where the history is read from; `SidecarClient` is one. */
export interface GenerationSource {
  generations(page: {
    cursor: string | null
    limit: number
    signal?: AbortSignal
  }): Promise<Page>
  generation(id: string, signal?: AbortSignal): Promise<Generation>
}

export interface LiveListener {
  /** The stream is open: what happened before is not repeated, so read anew. */
  hello?(): void
  generation?(generation: Generation): void
  progress?(change: { id: string; progress: Progress }): void
  /** The line has moved. */
  waiting?(turns: Turns): void
  quota?(quota: Quota): void
  quotaWarning?(warning: QuotaWarning): void
  /** The stream broke; it is tried again by itself. */
  away?(): void
}

export type Message = string | { [plural: string]: string }
export interface Messages {
  [key: string]: Message | Messages
}
