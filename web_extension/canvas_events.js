/** What ComfyUI's canvas would take for its own. */
const KEPT_EVENTS = ['keydown', 'keyup', 'keypress', 'copy', 'cut', 'paste', 'wheel']

/**
 * What is typed, pasted or scrolled in a panel is not meant for the canvas.
 *
 * @param {HTMLElement} panel
 */
export function keepFromCanvas(panel) {
  for (const name of KEPT_EVENTS) panel.addEventListener(name, stopIt)
}

/** @param {HTMLElement} panel */
export function keepNoMore(panel) {
  for (const name of KEPT_EVENTS) panel.removeEventListener(name, stopIt)
}

/** @param {Event} event */
function stopIt(event) {
  event.stopPropagation()
}
