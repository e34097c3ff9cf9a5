/**
 * Puts Genonaut's panels into ComfyUI's page. The only file that touches ComfyUI's frontend.
 *
 * @import { SidecarClient as Client } from './sidecar_client.js'
 * @import { Strings } from './strings.js'
 * @import { Generation, Quota, QuotaLimit, QuotaWarning } from './types.js'
 */

import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'
import { HistoryElement } from './elements/history.js'
import { LoggedOutElement } from './elements/logged_out.js'
import { QuotaElement } from './elements/quota.js'
import { Formats } from './format.js'
import { LiveEvents } from './live_events.js'
import { QuotaWatch } from './quota_watch.js'
import { highestLevelOf, nearlyUsedUp, warningText } from './quota_wording.js'
import { SidecarClient } from './sidecar_client.js'
import { loadStrings } from './strings.js'

const QUOTA_TAB = 'genonaut-quota'
const TOAST_MS = 12_000

app.registerExtension({
  name: 'genonaut.history',

  async setup() {
    const locale = String(app.extensionManager.setting.get('Comfy.Locale') ?? 'en')
    const strings = await loadStrings(api.apiURL('/i18n'), locale)
    const client = new SidecarClient(api.fileURL('/genonaut/api/v1'))
    const liveEvents = new LiveEvents(client.eventsUrl)
    const surroundings = { client, strings, formats: new Formats(strings.locale) }
    sayWhenLoggedOut(surroundings)
    HistoryElement.define()
    QuotaElement.define()
    app.extensionManager.registerSidebarTab(historyTab(surroundings, liveEvents))
    const watch = new QuotaWatch(client, liveEvents)
    app.extensionManager.registerSidebarTab(quotaTab(surroundings, liveEvents, watch))
    sayWhatIsUsedUp(surroundings, watch)
    watch.start()
  },
})

/** @param {{ client: Client, strings: Strings }} surroundings */
function sayWhenLoggedOut(surroundings) {
  LoggedOutElement.define()
  const loggedOut = new LoggedOutElement(surroundings, api.fileURL('/'))
  loggedOut.lang = surroundings.strings.locale
  document.body.append(loggedOut)
  api.addEventListener('reconnecting', () => loggedOut.connectionLost())
  api.addEventListener('reconnected', () => loggedOut.connectionBack())
}

/**
 * @param {{ client: Client, strings: Strings, formats: Formats }} surroundings
 * @param {LiveEvents} liveEvents
 * @returns {ComfySidebarTab}
 */
function historyTab(surroundings, liveEvents) {
  const title = surroundings.strings.say('history.title')
  /** @type {HistoryElement | null} */
  let panel = null
  return {
    id: 'genonaut-history',
    icon: 'pi pi-images',
    title,
    tooltip: surroundings.strings.say('history.tooltip'),
    type: 'custom',
    render(container) {
      if (panel?.parentElement === container) return
      panel?.remove()
      panel = new HistoryElement()
      panel.surroundings = surroundings
      panel.liveEvents = liveEvents
      panel.lang = surroundings.strings.locale
      panel.loadWorkflow = (generation) => loadWorkflow(generation, surroundings)
      container.style.height = '100%' // ComfyUI's own is as high as its content, and ours has a scroller of its own
      container.replaceChildren(panel)
    },
    destroy() {
      panel?.remove()
      panel = null
    },
  }
}

/**
 * @param {{ client: Client, strings: Strings, formats: Formats }} surroundings
 * @param {LiveEvents} liveEvents
 * @param {QuotaWatch} watch
 * @returns {ComfySidebarTab}
 */
function quotaTab(surroundings, liveEvents, watch) {
  /** @type {QuotaElement | null} */
  let panel = null
  return {
    id: QUOTA_TAB,
    icon: 'pi pi-gauge',
    title: surroundings.strings.say('quota.title'),
    tooltip: surroundings.strings.say('quota.tooltip'),
    type: 'custom',
    iconBadge: '',
    render(container) {
      if (panel?.parentElement === container) return
      panel?.remove()
      panel = new QuotaElement()
      Object.assign(panel, { surroundings, liveEvents, watch, lang: surroundings.strings.locale })
      container.style.height = '100%' // as the history's
      container.replaceChildren(panel)
    },
    destroy() {
      panel?.remove()
      panel = null
    },
  }
}

/**
 * On the tab's icon as long as it is so, and in a toast when it comes to that.
 *
 * @param {{ strings: Strings, formats: Formats }} language
 * @param {QuotaWatch} watch
 */
function sayWhatIsUsedUp(language, watch) {
  const { strings, formats } = language
  watch.addEventListener('change', () => {
    // ComfyUI draws anew what is changed in its own list. A function is asked once: it does not know when to ask again.
    const tab = app.extensionManager.getSidebarTabs().find(({ id }) => id === QUOTA_TAB)
    if (!tab || !watch.quota) return
    const percent = nearlyUsedUp(watch.quota, formats)
    // No number: ComfyUI's own are counts, and more than two signs would cover the icon.
    tab.iconBadge = { 0: '', 80: '!', 100: '!!' }[highestLevelOf(watch.quota)]
    tab.tooltip = percent === null ? strings.say('quota.tooltip') : strings.say('quota.tooltipUsed', { percent })
  })
  watch.addEventListener('warning', (event) => {
    /** @type {{ warning: QuotaWarning, limit: QuotaLimit, overLimit: Quota['over_limit'] }} */
    const { warning, limit, overLimit } = /** @type {CustomEvent} */ (event).detail
    app.extensionManager.toast.add({ severity: 'warn', ...warningText(warning, limit, overLimit, language), life: TOAST_MS })
  })
}

/**
 * Puts the workflow of a generation on the canvas: as it was drawn, or laid out anew where it came without a drawing.
 *
 * @param {Generation} generation
 * @param {{ client: Client, strings: Strings }} surroundings
 */
async function loadWorkflow(generation, { client, strings }) {
  const { workflow, ui_workflow: uiWorkflow } = await client.workflow(generation.id)
  // A copy: ComfyUI writes into what it is given.
  if (uiWorkflow) await app.loadGraphData(structuredClone(uiWorkflow))
  else await app.loadApiJson(structuredClone(workflow), strings.say('generation.numbered', { number: generation.number }))
}
