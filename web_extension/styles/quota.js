import { sheet } from '../dom.js'

export const quotaStyles = sheet(`
  h3 { margin: 0; font-size: 13px; font-weight: 600; overflow-wrap: anywhere; }
  p { margin: 0; text-wrap: pretty; }
  .quiet { color: var(--genonaut-quiet); font-size: 12px; }
  .plan { min-width: 0; overflow-wrap: anywhere; text-align: end; }
  .body {
    flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 4px 14px 28px; max-width: 680px;
    scrollbar-width: thin; scrollbar-color: var(--genonaut-line) transparent;
  }
  .body:focus-visible { outline-offset: -2px; }
  .limits:empty { display: none; }
  .body > :not([hidden]) ~ *, .limits > section + section { margin-top: 18px; padding-top: 18px; border-top: 1px solid var(--genonaut-line); }
  ul, ol { margin: 0; padding: 0; list-style: none; }
  .meters { display: grid; gap: 16px; margin-top: 12px; }
  .line { display: flex; align-items: baseline; justify-content: space-between; flex-wrap: wrap; gap: 0 10px; }
  .amount { margin-inline-start: auto; font-variant-numeric: tabular-nums; }
  .bar { height: 6px; margin-top: 6px; border-radius: 3px; overflow: hidden; background: var(--genonaut-line); }
  .done {
    height: 100%; background: var(--genonaut-accent); transform-origin: left; transition: transform 400ms ease-out;
  }
  :host(:dir(rtl)) .done { transform-origin: right; }
  [data-level='80'] .done { background: var(--genonaut-warn); }
  [data-level='100'] .done { background: var(--genonaut-bad); }
  .later {
    display: grid; gap: 2px; margin-top: 5px; color: var(--genonaut-quiet);
    font-size: 12px; font-variant-numeric: tabular-nums;
  }
  .later span { text-wrap: pretty; }
  .sign { display: flex; align-items: center; gap: 4px; color: var(--genonaut-text); font-weight: 500; }
  .sign .icon { font-size: 14px; }
  [data-level='80'] .sign .icon { color: var(--genonaut-warn); }
  [data-level='100'] .sign .icon { color: var(--genonaut-bad); }
  .beyond { margin-top: 14px; }
  dl { display: grid; gap: 6px; margin: 10px 0 0; }
  dl div { display: flex; justify-content: space-between; flex-wrap: wrap; gap: 0 10px; }
  dd { margin: 0; color: var(--genonaut-quiet); font-variant-numeric: tabular-nums; }
  h3 + .quiet, h3 + p { margin-top: 4px; }
  .groups, ol { grid-template-columns: minmax(0, 1fr); }
  .groups { display: grid; gap: 8px; margin-top: 10px; }
  .reason { padding-inline-start: 10px; border-inline-start: 2px solid var(--genonaut-line); color: var(--genonaut-quiet); font-size: 12px; }
  ol { display: grid; gap: 8px; }
  ol li { content-visibility: auto; contain-intrinsic-size: auto 36px; }
  ol .name { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .state { display: block; text-wrap: balance; color: var(--genonaut-quiet); font-size: 12px; font-variant-numeric: tabular-nums; }
  .all { width: 100%; margin-top: 12px; }
  .usage { position: relative; }
  .bars { display: grid; grid-template-columns: repeat(7, 1fr); gap: 6px; height: 108px; margin: 12px 0 8px; }
  .day { display: flex; flex-direction: column; min-width: 0; text-align: center; font-size: 11px; line-height: 16px; font-variant-numeric: tabular-nums; }
  .count { height: 16px; }
  .space { flex: 1; display: flex; align-items: flex-end; justify-content: center; border-bottom: 1px solid var(--genonaut-line); }
  .column { width: min(100%, 28px); border-radius: 4px 4px 0 0; background: var(--genonaut-accent); }
  .weekday { margin-top: 3px; color: var(--genonaut-quiet); }
  @media (forced-colors: active) {
    .bar { border: 1px solid CanvasText; }
    .done, .column { background: Highlight !important; forced-color-adjust: none; }
  }
`)
