/**
 * Puts text on the clipboard. `navigator.clipboard` is there only on https and localhost, and many people reach
 * their ComfyUI over plain http in their own network.
 *
 * @param {string} text
 * @param {HTMLElement} near where a text field may be put for a moment; inside an open dialog it must be the dialog
 */
export async function copyText(text, near) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const field = document.createElement('textarea')
  field.value = text
  near.append(field)
  field.select()
  document.execCommand('copy')
  field.remove()
}
