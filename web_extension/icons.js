import { h } from './dom.js'

/** Line icons on a grid of 24, drawn with the colour of the text beside them. */
const PATHS = {
  cancelled: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M5.6 5.6l12.8 12.8',
  close: 'M6 6l12 12M18 6L6 18',
  completed: 'M5 12.5l4.5 4.5L19 7.5',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  corrupt: 'M4 5h16v14H4zM4 15l5-4 3 3 M20 9l-4 4 2 3-3 3',
  download: 'M12 4v11M7 10.5l5 5 5-5M5 20h14',
  failed: 'M12 4l9 16H3zM12 10v4.5M12 17.2v.3',
  images: 'M8 4h12v12H8zM16 16v4H4V8h4',
  lost: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M12 16.7v.3',
  missing: 'M4 5h16v14H4zM9 9l6 6M15 9l-6 6',
  next: 'M9 5l7 7-7 7',
  pending: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5.2l3.2 2',
  pencil: 'M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5zM13.5 7l3.5 3.5',
  person: 'M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M4.5 20c.8-3.6 3.7-5.5 7.5-5.5s6.7 1.9 7.5 5.5',
  picture: 'M4 5h16v14H4zM4 16l5-5 4 4 2.5-2.5L20 17M15.5 9v.3',
  previous: 'M15 5l-7 7 7 7',
  running: 'M8 5.5v13l10.5-6.5z',
  repeat: 'M5 10a7.5 7.5 0 0 1 13-2.5L20 10M20 4.5V10h-5.5M19 14a7.5 7.5 0 0 1-13 2.5L4 14M4 19.5V14h5.5',
  review: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6',
  star: 'M12 4l2.5 5.2 5.7.8-4.1 4 1 5.7L12 17l-5.1 2.7 1-5.7-4.1-4 5.7-.8z',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5',
  up: 'M12 19V6M6.5 11.5L12 6l5.5 5.5',
  workflow: 'M4 5h6v5H4zM14 14h6v5h-6zM10 7.5h4.5v6.5',
}

/** @typedef {keyof typeof PATHS} IconName */

const SVG = 'http://www.w3.org/2000/svg'

/**
 * @param {IconName} name
 * @returns {SVGSVGElement} hidden from screen readers: words stand beside it
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('aria-hidden', 'true')
  svg.classList.add('icon')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', PATHS[name])
  svg.append(path)
  return svg
}

/**
 * @param {IconName} name
 * @param {string} className
 * @param {string} label
 * @param {() => void} onClick
 */
export function iconButton(name, className, label, onClick) {
  const button = h('button', { type: 'button', className, ariaLabel: label, title: label }, icon(name))
  button.addEventListener('click', onClick)
  return button
}
