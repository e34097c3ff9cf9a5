import { sheet } from '../dom.js'

/**
 * Our own layer of colours over ComfyUI's. Only its variables are used, never its classes, which differ between
 * versions; the second value of each is for a page without ComfyUI.
 */
export const theme = sheet(`
  :host {
    --genonaut-text: var(--fg-color, light-dark(#1f2023, #ececf1));
    --genonaut-quiet: color-mix(in srgb, var(--genonaut-text) 68%, var(--genonaut-ground));
    --genonaut-ground: var(--comfy-menu-bg, light-dark(#f6f6f7, #1b1c20));
    --genonaut-raised: color-mix(in srgb, var(--genonaut-text) 7%, var(--genonaut-ground));
    --genonaut-hover: color-mix(in srgb, var(--genonaut-text) 13%, var(--genonaut-ground));
    --genonaut-line: color-mix(in srgb, var(--genonaut-text) 14%, var(--genonaut-ground));
    --genonaut-accent: color-mix(in srgb, #3b82f6 78%, var(--genonaut-text));
    --genonaut-bad: color-mix(in srgb, #ff4d4f 62%, var(--genonaut-text));
    --genonaut-warn: color-mix(in srgb, #f59e0b 66%, var(--genonaut-text));
    --genonaut-radius: 10px;
    --genonaut-quick: 140ms ease-out;
    color-scheme: light dark;
    color: var(--genonaut-text);
    font: 400 13px/1.45 Inter, system-ui, -apple-system, 'Segoe UI', sans-serif;
    -webkit-font-smoothing: antialiased;
  }
  *, *::before, *::after { box-sizing: border-box; }
  [hidden] { display: none !important; }
  .icon {
    width: 1em; height: 1em; flex: none;
    fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round;
  }
  .visually-hidden {
    position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
  }
  button, a.button {
    display: inline-flex; align-items: center; justify-content: center; gap: 6px;
    min-height: 32px; padding: 0 12px; border: 1px solid var(--genonaut-line); border-radius: 8px;
    background: var(--genonaut-raised); color: inherit; font: inherit; text-decoration: none; cursor: pointer;
    transition: background var(--genonaut-quick);
  }
  /* A click is lost where what was pressed is drawn anew before the release: so it is always the button itself. */
  button > *, a.button > * { pointer-events: none; }
  button:hover, a.button:hover { background: var(--genonaut-hover); }
  button:disabled { opacity: .55; cursor: default; }
  :focus { outline: none; }
  :focus-visible { outline: 2px solid var(--genonaut-accent); outline-offset: 2px; }
  @media (prefers-reduced-motion: reduce) {
    *, *::before, *::after { animation: none !important; transition: none !important; }
  }
  @media (forced-colors: active) {
    :focus-visible { outline-color: Highlight; }
  }
`)
