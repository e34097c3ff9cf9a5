import { sheet } from '../dom.js'

export const pictureStyles = sheet(`
  :host { display: grid; place-items: center; overflow: hidden; contain: strict; }
  .frame {
    position: relative; display: grid; max-width: 100%; max-height: 100%;
    overflow: hidden; border-radius: inherit;
  }
  .frame > * { grid-area: 1 / 1; width: 100%; height: 100%; min-width: 0; min-height: 0; }
  img { object-fit: contain; opacity: 0; transition: opacity var(--genonaut-quick); }
  img.there { opacity: 1; }
  /* What lies below would shine through where the picture is transparent. */
  canvas:has(+ img.there) { visibility: hidden; transition: visibility 0s 140ms; }
`)
