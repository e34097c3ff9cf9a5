/** The part of ComfyUI's `app` that Genonaut uses. Opens the tab that the address names as soon as it is there. */
window.tabs = []
window.toasts = []
const wanted = new URLSearchParams(location.search)

export const app = {
  registerExtension: (extension) => extension.setup(),
  loadGraphData: async (graph) => void (window.loaded = { graph }),
  loadApiJson: async (workflow, name) => void (window.loaded = { workflow, name }),
  extensionManager: {
    setting: { get: (id) => (id === 'Comfy.Locale' ? (wanted.get('locale') ?? 'en') : undefined) },
    registerSidebarTab(tab) {
      window.tabs.push(tab)
      if (tab.id !== (wanted.get('tab') ?? 'genonaut-history')) return
      window.tab = tab
      tab.render(document.getElementById('sidebar'))
    },
    getSidebarTabs: () => window.tabs,
    toast: { add: (message) => window.toasts.push(message) },
  },
}
