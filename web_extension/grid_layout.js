/** @import { ThumbnailSize } from './types.js' */

const GAP_PX = 10
const ROW_GAP_PX = 14
const EDGE_PX = 12
/** From which width of the panel on, how wide a card is at least: two beside each other even in the narrowest. */
const LEAST_CARD_PX = [
  { from: 560, card: 176 },
  { from: 300, card: 132 },
  { from: 0, card: 104 },
]

/** Where the cards of the history lie: rows of equal height, so that any place is found by division. */
export class GridLayout {
  /**
   * @param {number} widthPx
   * @param {number} textHeightPx what each card adds below its square picture
   */
  constructor(widthPx, textHeightPx) {
    const inner = Math.max(120, widthPx - 2 * EDGE_PX)
    const least = LEAST_CARD_PX.find(({ from }) => widthPx >= from)?.card ?? inner
    this.columns = Math.max(1, Math.floor((inner + GAP_PX) / (least + GAP_PX)))
    this.cardWidth = Math.floor((inner - GAP_PX * (this.columns - 1)) / this.columns)
    this.cardHeight = this.cardWidth + textHeightPx
    this.rowHeight = this.cardHeight + ROW_GAP_PX
  }

  /** @param {number} count */
  heightOf(count) {
    return Math.ceil(count / this.columns) * this.rowHeight
  }

  /** @param {number} index */
  placeOf(index) {
    return {
      top: Math.floor(index / this.columns) * this.rowHeight,
      start: EDGE_PX + (index % this.columns) * (this.cardWidth + GAP_PX),
    }
  }

  /**
   * The cards between two heights, as [first, after the last).
   *
   * @param {number} top
   * @param {number} bottom
   * @param {number} count
   */
  between(top, bottom, count) {
    const first = Math.max(0, Math.floor(top / this.rowHeight)) * this.columns
    const after = Math.max(0, Math.ceil(bottom / this.rowHeight)) * this.columns
    return { first: Math.min(first, count), after: Math.min(after, count) }
  }

  /**
   * The smallest thumbnail that is sharp here.
   *
   * @param {number} devicePixelRatio
   * @returns {ThumbnailSize}
   */
  thumbnailFor(devicePixelRatio) {
    const pixels = this.cardWidth * devicePixelRatio
    return pixels <= 256 ? 'small' : pixels <= 512 ? 'medium' : 'large'
  }
}
