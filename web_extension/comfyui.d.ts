/** The little of ComfyUI's frontend that `main.js` uses; the same in 1.32 and 1.58. */

interface ComfySidebarTab {
  id: string
  icon: string
  title: string
  tooltip: string
  type: 'custom'
  /** A few letters on the icon. */
  iconBadge?: string
  /** May be called repeatedly on the same element. */
  render(container: HTMLElement): void
  destroy(): void
}

interface ComfyToast {
  severity: 'info' | 'success' | 'warn' | 'error'
  summary: string
  detail?: string
  life?: number
}

interface ComfyApp {
  registerExtension(extension: { name: string; setup(): Promise<void> }): void
  /** The graph as the page draws it. */
  loadGraphData(uiWorkflow: object): Promise<void>
  /** A graph in the API format. Synchronous in 1.32. */
  loadApiJson(workflow: object, name: string): Promise<void> | void
  extensionManager: {
    registerSidebarTab(tab: ComfySidebarTab): void
    /** Those that are registered, as Vue watches them: what is changed in them is shown. */
    getSidebarTabs(): ComfySidebarTab[]
    setting: { get(id: string): unknown }
    toast: { add(message: ComfyToast): void }
  }
}

declare module '*/scripts/app.js' {
  export const app: ComfyApp
}

declare module '*/scripts/api.js' {
  export const api: {
    /** A path on ComfyUI's own origin, below the prefix that the page lies under. */
    fileURL(path: string): string
    /** The same for a route of ComfyUI's API. */
    apiURL(path: string): string
    /** Its websocket was lost, or is there again. */
    addEventListener(type: 'reconnecting' | 'reconnected', listener: () => void): void
  }
}
