/** The part of ComfyUI's `api` that Genonaut uses. */
export const api = {
  fileURL: (path) => path,
  apiURL: (path) => `/api${path}`,
}
