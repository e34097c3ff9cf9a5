/** The part of ComfyUI's `api` that Genonaut uses. */
export const api = Object.assign(new EventTarget(), {
  fileURL: (path) => path,
  apiURL: (path) => `/api${path}`,
})

window.api = api
