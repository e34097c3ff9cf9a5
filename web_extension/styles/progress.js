import { sheet } from '../dom.js'

export const progressStyles = sheet(`
  :host { display: block; height: 4px; border-radius: 2px; overflow: hidden; background: var(--genonaut-line); }
  .done {
    height: 100%; border-radius: inherit; background: var(--genonaut-accent);
    transform-origin: left; transition: transform 400ms linear;
  }
  :host(:dir(rtl)) .done { transform-origin: right; }
  :host(:not([fraction])) .done { width: 30%; animation: pass 1.6s ease-in-out infinite; }
  @keyframes pass { from { transform: translateX(-100%); } to { transform: translateX(340%); } }
  @media (prefers-reduced-motion: reduce) {
    :host(:not([fraction])) .done { width: 100%; opacity: .45; }
  }
  @media (forced-colors: active) { .done { background: Highlight; } }
`)
