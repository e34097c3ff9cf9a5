const MINUTE_S = 60
const HOUR_S = 3_600
const DAY_S = 86_400
const GIGABYTE = 1024 ** 3

/** Numbers, times and sizes as people of one language write them. */
export class Formats {
  #ago
  #day
  #dayOfThisYear
  #moment
  #number
  #percent
  #locale
  #clock
  #weekday
  #dayInUtc
  #weekdayInUtc
  #all
  #any
  /** @type {Map<string, Intl.NumberFormat>} */
  #units = new Map()

  /** @param {string} locale */
  constructor(locale) {
    this.#locale = locale
    this.#ago = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' })
    this.#day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' })
    this.#dayOfThisYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' })
    this.#moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
    this.#clock = new Intl.DateTimeFormat(locale, { timeStyle: 'short' })
    this.#weekday = new Intl.DateTimeFormat(locale, { weekday: 'long' })
    this.#dayInUtc = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long', timeZone: 'UTC' })
    this.#weekdayInUtc = new Intl.DateTimeFormat(locale, { weekday: 'short', timeZone: 'UTC' })
    this.#all = new Intl.ListFormat(locale, { type: 'conjunction' })
    this.#any = new Intl.ListFormat(locale, { type: 'disjunction' })
    this.#number = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 })
    this.#percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 })
  }

  /** @param {number} value */
  number(value) {
    return this.#number.format(value)
  }

  /** @param {number} fraction 0 to 1 */
  percent(fraction) {
    return this.#percent.format(fraction)
  }

  /** @param {string[]} parts */
  all(parts) {
    return this.#all.format(parts)
  }

  /** @param {string[]} parts of which one will do */
  any(parts) {
    return this.#any.format(parts)
  }

  /** @param {string} time RFC 3339 */
  day(time) {
    return this.#day.format(new Date(time))
  }

  /** @param {string} time RFC 3339 */
  moment(time) {
    return this.#moment.format(new Date(time))
  }

  /**
   * "14:32", "2:32 PM"; on one line.
   *
   * @param {string} time RFC 3339
   */
  clock(time) {
    return onOneLine(this.#clock.format(new Date(time)))
  }

  /** @param {string} time RFC 3339 */
  weekday(time) {
    return this.#weekday.format(new Date(time))
  }

  /** @param {string} day `2026-01-31`, of UTC */
  dayInUtc(day) {
    return this.#dayInUtc.format(new Date(day))
  }

  /** @param {string} day `2026-01-31`, of UTC */
  weekdayInUtc(day) {
    return this.#weekdayInUtc.format(new Date(day))
  }

  /**
   * How long ago, as short as it can be said: "now", "5 min. ago", "yesterday", then the day itself,
   * with its year where that is another one.
   *
   * @param {string} time RFC 3339
   * @param {number} [now] unix milliseconds
   */
  ago(time, now = Date.now()) {
    const seconds = Math.max(0, (now - Date.parse(time)) / 1000)
    if (seconds < MINUTE_S) return this.#ago.format(0, 'second')
    if (seconds < HOUR_S) return this.#ago.format(-Math.floor(seconds / MINUTE_S), 'minute')
    if (seconds < DAY_S) return this.#ago.format(-Math.floor(seconds / HOUR_S), 'hour')
    if (seconds < 7 * DAY_S) return this.#ago.format(-Math.floor(seconds / DAY_S), 'day')
    const day = new Date(time)
    return (day.getFullYear() === new Date(now).getFullYear() ? this.#dayOfThisYear : this.#day).format(day)
  }

  /** @param {number} seconds */
  duration(seconds) {
    if (seconds < 1) return this.#unit(seconds, 'second', 2)
    if (seconds < MINUTE_S) return this.#unit(seconds, 'second', 1)
    const whole = Math.round(seconds)
    if (whole < HOUR_S) return this.#pair(Math.floor(whole / MINUTE_S), 'minute', whole % MINUTE_S, 'second')
    const minutes = Math.floor((whole % HOUR_S) / MINUTE_S)
    return this.#pair(Math.floor(whole / HOUR_S), 'hour', minutes, 'minute')
  }

  /** @param {number} bytes */
  bytes(bytes) {
    if (bytes < 1_000) return this.#unit(bytes, 'byte', 0)
    if (bytes < 1_000_000) return this.#unit(bytes / 1_000, 'kilobyte', 0)
    return this.#unit(bytes / 1_000_000, 'megabyte', 1)
  }

  /**
   * As limits are given and the sidecar's sentences tell them: 1024 of each are one of the next.
   *
   * @param {number} bytes
   */
  gigabytes(bytes) {
    return this.#unit(bytes / GIGABYTE, 'gigabyte', 1)
  }

  /**
   * @param {number} value
   * @param {string} unit of ECMA-402's list
   * @param {number} digits after the point, at most
   */
  #unit(value, unit, digits) {
    const key = `${unit} ${digits}`
    const form = { style: /** @type {const} */ ('unit'), unit, maximumFractionDigits: digits }
    const format = this.#units.get(key) ?? new Intl.NumberFormat(this.#locale, form)
    this.#units.set(key, format)
    return format.format(value)
  }

  /**
   * @param {number} large
   * @param {string} largeUnit
   * @param {number} small
   * @param {string} smallUnit
   */
  #pair(large, largeUnit, small, smallUnit) {
    const first = this.#unit(large, largeUnit, 0)
    return small === 0 ? first : `${first} ${this.#unit(small, smallUnit, 0)}`
  }
}

/** @param {string} text */
export function onOneLine(text) {
  return text.replace(/\s/g, '\u00a0')
}
