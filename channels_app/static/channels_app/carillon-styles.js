// The looks of <carillon-inbox>.

const DARK = `
  --bg: var(--carillon-background, #12191c); --raised: var(--carillon-raised, #1b2428);
  --text: var(--carillon-text, #eaf0f1); --muted: var(--carillon-muted, #9aa9ad);
  --border: var(--carillon-border, #2a363b); --accent: var(--carillon-accent, #5cc4c0); --on-accent: #06282a;
  --unread: var(--carillon-unread, rgb(92 196 192 / 9%)); --danger: var(--carillon-danger, #e5484d);
  --shadow: 0 16px 48px rgb(0 0 0 / 55%), 0 2px 8px rgb(0 0 0 / 40%);
  --tone-l: 78%; --tone-b: 24%; --tone-c: .055;`;

export const styles = new CSSStyleSheet();
styles.replaceSync(`
:host {
  --bg: var(--carillon-background, #fff); --raised: var(--carillon-raised, #f4f7f7);
  --text: var(--carillon-text, #14211f); --muted: var(--carillon-muted, #5a6b6d);
  --border: var(--carillon-border, #e2e9e9); --accent: var(--carillon-accent, #0b6b70); --on-accent: #fff;
  --unread: var(--carillon-unread, rgb(11 107 112 / 5%)); --danger: var(--carillon-danger, #c9302c);
  --shadow: 0 16px 48px rgb(16 42 45 / 16%), 0 2px 8px rgb(16 42 45 / 8%);
  --tone-l: 40%; --tone-b: 94%; --tone-c: .07;
  --radius: var(--carillon-radius, 14px);
  display: inline-block; position: relative; color: var(--text); text-align: start;
  font: 400 15px/1.45 var(--carillon-font, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
}
:host([data-list]) { display: block }
:host([hidden]) { display: none }
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) { ${DARK} } }
:host([theme="dark"]) { ${DARK} }
*, ::before { box-sizing: border-box }
[hidden] { display: none !important }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; margin: 0 }
button, a { font: inherit; color: inherit; background: none; border: 0; padding: 0; margin: 0; text-align: start; text-decoration: none; cursor: pointer; -webkit-tap-highlight-color: transparent }
:focus { outline: none }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; border-radius: 8px }
.icon { width: 20px; height: 20px; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; display: block }
.icon.i-dot { stroke-width: 9 }

.bell { position: relative; width: 42px; height: 42px; display: grid; place-items: center; border-radius: 50% }
.bell:hover, .bell[aria-expanded="true"] { background: color-mix(in srgb, currentColor 9%, transparent) }
.bell:focus-visible { border-radius: 50% }
.bell .icon { width: 24px; height: 24px }
.badge { position: absolute; inset-block-start: 2px; inset-inline-start: 22px; min-width: 19px; height: 19px; padding: 0 5px; border-radius: 10px; background: var(--danger); color: #fff; font-size: 11.5px; font-weight: 650; line-height: 19px; text-align: center; font-variant-numeric: tabular-nums; box-shadow: 0 0 0 2px var(--carillon-bar, var(--bg)) }

.panel { background: var(--bg); border: 1px solid var(--border); border-radius: var(--radius); overflow: hidden; display: flex; flex-direction: column }
:host(:not([data-list])) .panel { position: absolute; z-index: 2147483000; inset-block-start: calc(100% + 8px); right: 0; width: var(--carillon-width, 400px); max-height: min(620px, var(--room, 80vh)); box-shadow: var(--shadow); animation: drop .14s ease-out }
:host(:not([data-list])) .panel.left { right: auto; left: 0 }
.panel:focus-visible { outline: none }
.head { display: grid; grid-template-columns: 1fr auto; align-items: center; gap: 10px 12px; padding: 16px 18px 12px; border-bottom: 1px solid var(--border) }
h2 { margin: 0; font-size: 17px; font-weight: 650; letter-spacing: -.01em }
.text { color: var(--accent); font-size: 14px; font-weight: 550; padding: 4px 6px; margin: -4px -6px; border-radius: 6px }
.text:hover { background: var(--unread) }
.tabs { grid-column: 1 / -1; display: flex; gap: 4px; margin: -3px -4px; padding: 3px; overflow-x: auto; scrollbar-width: none }
.tabs > div { display: flex; gap: 4px; flex: none }
.cats:not(:empty) { border-inline-start: 1px solid var(--border); padding-inline-start: 8px; margin-inline-start: 4px }
.tab { flex: none; white-space: nowrap; padding: 4px 11px; border-radius: 99px; font-size: 14px; color: var(--muted); font-variant-numeric: tabular-nums }
.tab:hover { color: var(--text) }
.tab[aria-pressed="true"] { background: var(--raised); color: var(--text); font-weight: 550 }
.notice { margin: 0; padding: 8px 18px; font-size: 13.5px; color: var(--muted); background: var(--raised); border-bottom: 1px solid var(--border) }

.scroll { overflow-y: auto; overscroll-behavior: contain; min-height: 0; scrollbar-width: thin; scrollbar-color: var(--border) transparent }
:host([data-list]) .scroll { overflow: visible }
.items { list-style: none; margin: 0; padding: 0 }
.day h3 { margin: 0; padding: 10px 18px 6px; font-size: 12.5px; font-weight: 600; color: var(--muted) }
.more { width: 100%; padding: 6px 18px 10px 66px; color: var(--accent); font-size: 13.5px; font-weight: 550 }
.more:dir(rtl) { padding: 6px 66px 10px 18px }
.item { position: relative; display: flex; flex-wrap: wrap; align-items: flex-start; border-bottom: 1px solid var(--border) }
.item:last-child { border-bottom-color: transparent }
.item.unread { background: var(--unread) }
.item.unread::before { content: ""; position: absolute; inset-block: 0; inset-inline-start: 0; width: 3px; background: var(--accent) }
.item:hover { background: var(--raised) }
.item.arriving { animation: arrive 1.6s ease-out }
.main { flex: 1; min-width: 0; display: flex; gap: 12px; padding: 14px 4px 14px 18px }
.face { flex: none; width: 36px; height: 36px; border-radius: 50%; display: grid; place-items: center; overflow: hidden; font-size: 15px; font-weight: 600; line-height: 1; color: oklch(var(--tone-l) calc(var(--tone-c) * 1.6) var(--hue)); background: oklch(var(--tone-b) calc(var(--tone-c) * .5) var(--hue)) }
.face img { width: 100%; height: 100%; object-fit: cover }
.tone0 { --hue: 195 } .tone1 { --hue: 255 } .tone2 { --hue: 305 } .tone3 { --hue: 25 } .tone4 { --hue: 75 } .tone5 { --hue: 145 }
.words { min-width: 0; display: grid; gap: 2px }
.title, .body { text-align: -webkit-match-parent; text-align: match-parent } /* right-to-left text runs its own way and stays in its column */
.title { font-weight: 450; overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden }
.unread .title { font-weight: 620 }
.body { color: var(--muted); font-size: 14.5px; overflow-wrap: anywhere; white-space: pre-line; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden }
.open .title, .open .body { -webkit-line-clamp: none }
.meta { color: var(--muted); font-size: 13px; margin-top: 2px; overflow-wrap: anywhere }
.acts { flex: none; display: flex; padding-block-start: 10px; padding-inline-end: 10px; opacity: 0; transition: opacity .12s }
.item:hover .acts, .item:focus-within .acts { opacity: 1 }
@media (hover: none) { .acts { opacity: .75 } }
.act { width: 34px; height: 34px; display: grid; place-items: center; border-radius: 8px; color: var(--muted) }
.act:hover { color: var(--text); background: color-mix(in srgb, currentColor 10%, transparent) }
.act .icon { width: 18px; height: 18px }

.buttons { flex: 0 0 100%; display: flex; flex-wrap: wrap; gap: 8px; padding-block-end: 14px; padding-inline: 66px 18px }
.action { padding: 5px 12px; border-radius: 8px; border: 1px solid var(--border); background: var(--bg); font-size: 14px; font-weight: 550; overflow-wrap: anywhere }
.action:hover { border-color: var(--accent) }
.action.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent) }
.menu { position: fixed; inset: auto; margin: 0; padding: 6px; min-width: 210px; background: var(--bg); color: var(--text); border: 1px solid var(--border); border-radius: 12px; box-shadow: var(--shadow) }
.menu button { display: flex; justify-content: space-between; gap: 24px; width: 100%; padding: 9px 12px; border-radius: 8px; font-size: 14.5px }
.menu button:hover, .menu button:focus { background: var(--raised) }
.menu small { color: var(--muted); font-size: 13px }
.toasts { position: fixed; z-index: 2147483001; inset-block-end: 20px; inset-inline-end: 20px; width: min(360px, calc(100vw - 40px)); display: grid; gap: 10px; pointer-events: none }
.toast { pointer-events: auto; display: flex; align-items: flex-start; background: var(--bg); border: 1px solid var(--border); border-radius: var(--radius); box-shadow: var(--shadow); animation: drop .18s ease-out }
.toast .main { padding: 13px 4px 13px 14px }
.toast .act { margin: 8px; flex: none }
.inline { position: static; display: inline-block; box-shadow: none }

.state { display: grid; justify-items: center; gap: 4px; padding: 48px 32px 52px; text-align: center; color: var(--muted); font-size: 14.5px }
.state strong { color: var(--text); font-size: 16px; font-weight: 600 }
.state.none { padding: 0 }
.disc { width: 56px; height: 56px; border-radius: 50%; display: grid; place-items: center; background: var(--raised); color: var(--accent); margin-bottom: 10px }
.disc .icon { width: 26px; height: 26px }
.retry { margin-top: 14px; padding: 8px 18px; border-radius: 9px; background: var(--accent); color: var(--on-accent); font-weight: 550 }
.retry:focus-visible { outline-offset: 2px }
.state.loading { padding: 0; gap: 0; justify-items: stretch }
.ghost { display: grid; grid-template-columns: 36px 1fr; gap: 8px 12px; padding: 16px 18px; animation: breathe 1.6s ease-in-out infinite }
.ghost > * { background: var(--raised); border-radius: 6px; height: 12px }
.ghost i { grid-row: 1 / 3; height: 36px; border-radius: 50% }
.ghost b { width: 55% } .ghost s { width: 85% }
.end { height: 1px }

@keyframes drop { from { opacity: 0; transform: translateY(-6px) } }
@keyframes arrive { from { background: color-mix(in srgb, var(--accent) 24%, transparent) } }
@keyframes breathe { 50% { opacity: .5 } }
@media (prefers-reduced-motion: reduce) { *, .panel { animation: none !important; transition: none !important } }
@media (max-width: 480px) {
  :host(:not([data-list])) .panel, :host(:not([data-list])) .panel.left { position: fixed; inset-block-start: var(--top, 64px); left: 8px; right: 8px; width: auto }
  .main { padding-inline-start: 14px }
  .head { padding-inline: 14px }
}
`);
