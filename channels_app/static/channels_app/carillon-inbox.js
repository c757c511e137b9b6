/**
 * <carillon-inbox>: a bell with a badge and the feed behind it, or the feed itself. No dependencies, no build step.
 *
 *   <script type="module" src="https://notify.example.com/static/channels_app/carillon-inbox.js"></script>
 *   <carillon-inbox base-url="https://notify.example.com" token="..."></carillon-inbox>
 *
 * Attributes  base-url   where the server is; the page's own when left out
 *             token      a feed token; the page's session when left out
 *             mode       "popover" (default) or "list"
 *             badge      what the bell counts: "unseen" (default) or "unread"
 *             theme      "light" or "dark"; the system's when left out
 *             quiet      do not announce arrivals to screen readers: for the second element of a page
 *             (data-status  set by the element: connecting, online, offline, unauthorized, forbidden)
 * Property    getToken   an async function for a fresh token when the old one has run out; set it before inserting
 * Events      carillon-open (cancelable; detail: the item), carillon-item, carillon-counts; they bubble
 * Styling     --carillon-accent, -background, -raised, -text, -muted, -border, -unread, -danger, -radius, -font, -width
 * Words       `strings` below can be changed before the first element is made
 *
 * Content is set as text only, and a link is followed only to http, https or a path.
 */

import { FeedList, release, sharedClient } from "./carillon-client.js";

export const strings = {
  title: "Notifications",
  bell: (count) => (count ? `Notifications, ${count} new` : "Notifications"),
  all: "All",
  unread: "Unread",
  archived: "Archived",
  readAll: "Mark all as read",
  markRead: "Mark as read",
  markUnread: "Mark as unread",
  archive: "Archive",
  unarchive: "Move back to inbox",
  emptyTitle: { all: "You’re all caught up", unread: "Nothing unread", archived: "The archive is empty" },
  emptyText: {
    all: "New notifications appear here the moment they are sent.",
    unread: "Everything here has been read.",
    archived: "What you archive is kept here.",
  },
  errorTitle: "Notifications could not be loaded",
  errorText: "Check your connection.",
  retry: "Try again",
  offline: "Reconnecting…",
  unauthorized: "Your session has ended. Sign in again to see new notifications.",
  forbidden: "This site is not allowed to show notifications.",
  failed: "That did not work. Try again.",
  arrived: (title) => `New notification: ${title}`,
  now: "now",
};

const FILTERS = ["all", "unread", "archived"];
const OFFLINE_AFTER_MS = 4000; // a short hiccup is nobody's business
const CLOCK_MS = 30_000;
const CAP = 1000; // the server stops counting here

const ICONS = {
  bell: "M6 9.5a6 6 0 0 1 12 0c0 3.9 1.2 5.6 2 6.5H4c.8-.9 2-2.6 2-6.5zM10 19.5a2.1 2.1 0 0 0 4 0",
  check: "M5 12.5l4.5 4.5L19 7.5",
  archive: "M4 5h16v4H4zM5.5 9v10h13V9M10 13h4",
  restore: "M4 5h16v4H4zM5.5 9v10h13V9M12 17v-5M9.5 14l2.5-2.5 2.5 2.5",
  dot: "M12 12h.01",
  alert: "M12 8v5M12 16.5v.01M12 3.5 2.5 20h19z",
};

class CarillonInbox extends HTMLElement {
  static observedAttributes = ["base-url", "token", "mode", "badge"];

  #client = null;
  #list = null;
  #rows = new Map();
  #timers = {};
  #watchers = [];
  #parts = {};
  #open = false;
  #arriving = new Set();

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [styles];
  }

  connectedCallback() {
    this.#build();
    this.#client = sharedClient({
      baseUrl: this.getAttribute("base-url") ?? "",
      token: this.getAttribute("token") ?? "",
      getToken: this.getToken ?? null,
    });
    for (const type of ["counts", "status", "item"]) this.#client.addEventListener(type, this);
    this.#show("all");
    this.#showCounts();
    this.#showStatus();
    this.#timers.clock = setInterval(() => this.#tick(), CLOCK_MS);
    document.addEventListener("pointerdown", this.#outside);
    document.addEventListener("visibilitychange", this.#visible);
  }

  disconnectedCallback() {
    Object.values(this.#timers).forEach(clearTimeout);
    this.#watchers.forEach((watcher) => watcher.disconnect());
    document.removeEventListener("pointerdown", this.#outside);
    document.removeEventListener("visibilitychange", this.#visible);
    for (const type of ["counts", "status", "item"]) this.#client.removeEventListener(type, this);
    this.#list.close();
    release(this.#client);
    this.#client = null;
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#client || before === after) return;
    if (name === "token") this.#client.setToken(after ?? "");
    else if (name === "badge") this.#showCounts();
    else {
      this.disconnectedCallback();
      this.connectedCallback();
    }
  }

  handleEvent({ type, detail }) {
    if (type === "counts") this.#showCounts();
    else if (type === "status") this.#showStatus();
    else this.#arrived(detail);
  }

  get #isList() {
    return this.getAttribute("mode") === "list";
  }

  // --- structure -----------------------------------------------------------------------------------------------

  #build() {
    const parts = (this.#parts = {});
    parts.badge = h("span", { class: "badge", part: "badge", hidden: true, "aria-hidden": "true" });
    parts.bell = h("button", { class: "bell", part: "bell", type: "button", onclick: () => this.toggle() }, icon("bell"), parts.badge);
    parts.bell.setAttribute("aria-haspopup", "dialog");
    parts.readAll = h("button", { class: "text", type: "button", onclick: () => this.#try(this.#client.readAll()) }, strings.readAll);
    parts.tabs = FILTERS.map((filter) =>
      h("button", { class: "tab", type: "button", "data-filter": filter, onclick: () => this.#show(filter) }, strings[filter]),
    );
    parts.notice = h("p", { class: "notice", role: "status", hidden: true });
    parts.items = h("ul", { class: "items", part: "items" });
    parts.state = h("div", { class: "state" });
    parts.end = h("div", { class: "end", "aria-hidden": "true" });
    parts.scroll = h("div", { class: "scroll" }, parts.items, parts.state, parts.end);
    parts.live = h("p", { class: "hidden", "aria-live": "polite" });
    parts.panel = h(
      "section",
      { class: "panel", part: "panel", "aria-label": strings.title, onkeydown: (event) => this.#key(event) },
      h(
        "header",
        {},
        h("h2", {}, strings.title),
        parts.readAll,
        h("div", { class: "tabs", role: "group", "aria-label": strings.title }, ...parts.tabs),
      ),
      parts.notice,
      parts.scroll,
    );
    if (this.#isList) {
      this.shadowRoot.replaceChildren(parts.panel, parts.live);
    } else {
      parts.panel.setAttribute("role", "dialog");
      parts.panel.tabIndex = -1;
      parts.panel.hidden = true;
      this.shadowRoot.replaceChildren(parts.bell, parts.panel, parts.live);
    }
    this.shadowRoot.host.toggleAttribute("data-list", this.#isList);
    this.#watch();
  }

  /** What scrolls into sight is seen; the end of the list brings the next page. */
  #watch() {
    const root = this.#isList ? null : this.#parts.scroll;
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.#sight(entry)), { root, threshold: 0.5 });
    const end = new IntersectionObserver((entries) => entries[0].isIntersecting && this.#list?.more(), { root, rootMargin: "400px" });
    end.observe(this.#parts.end);
    this.#watchers.forEach((watcher) => watcher.disconnect());
    this.#watchers = [seen, end];
  }

  #sight({ target, isIntersecting }) {
    target.inSight = isIntersecting;
    if (isIntersecting && !document.hidden) this.#client.seen(target.item);
  }

  #visible = () => {
    if (document.hidden) return;
    this.#tick();
    for (const row of this.#rows.values()) if (row.inSight) this.#client.seen(row.item);
  };

  // --- the popover -----------------------------------------------------------------------------------------------

  toggle(open = !this.#open) {
    if (this.#isList || open === this.#open) return;
    this.#open = open;
    const { bell, panel } = this.#parts;
    panel.hidden = !open;
    bell.setAttribute("aria-expanded", String(open));
    if (!open) return void bell.focus();
    const at = bell.getBoundingClientRect();
    panel.classList.toggle("left", at.right < innerWidth / 2);
    panel.style.setProperty("--room", `${Math.max(240, innerHeight - at.bottom - 24)}px`);
    panel.style.setProperty("--top", `${at.bottom + 8}px`);
    panel.focus({ preventScroll: true });
  }

  #outside = (event) => {
    if (!this.#open || event.composedPath().includes(this)) return;
    this.#open = false;
    this.#parts.panel.hidden = true;
    this.#parts.bell.setAttribute("aria-expanded", "false");
  };

  #key(event) {
    if (event.key === "Escape" && this.#open) {
      event.stopPropagation();
      return this.toggle(false);
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.#parts.items.children];
    if (!rows.length || !(step || event.key === "Home" || event.key === "End")) return;
    const at = rows.findIndex((row) => row.contains(this.shadowRoot.activeElement));
    const edge = { Home: 0, End: rows.length - 1 }[event.key];
    const next = edge ?? (at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step)));
    event.preventDefault();
    rows[next].querySelector(".main").focus();
  }

  // --- the list --------------------------------------------------------------------------------------------------

  #show(filter) {
    this.#list?.close();
    this.#list = new FeedList(this.#client, filter);
    this.#list.addEventListener("change", () => this.#render());
    for (const tab of this.#parts.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.filter === filter));
    this.#parts.scroll.scrollTop = 0;
    this.#list.load();
  }

  #render() {
    const { items: root } = this.#parts;
    const items = this.#list.items;
    const wanted = new Set(items.map((item) => item.id));
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      this.#keepFocus(row);
      this.#watchers[0].unobserve(row);
      row.remove();
      this.#rows.delete(id);
    }
    items.forEach((item, index) => {
      const row = this.#rows.get(item.id) ?? this.#row(item);
      row.item = item;
      paint(row, this.#list.filter);
      if (root.children[index] !== row) root.insertBefore(row, root.children[index] ?? null);
    });
    this.#arriving.clear();
    this.#renderState();
  }

  #row(item) {
    const row = h("li", { class: `item${this.#arriving.has(item.id) ? " arriving" : ""}`, part: "item" });
    const href = safeLink(item.link);
    const main = href ? h("a", { class: "main", href }) : h("button", { class: "main", type: "button" });
    row.parts = {
      title: h("span", { class: "title", dir: "auto" }, item.title || item.body),
      body: item.title && item.body ? h("span", { class: "body", dir: "auto" }, item.body) : null,
      time: h("time", { datetime: item.created_at }),
      read: h("button", { class: "act", type: "button", onclick: () => this.#flip(row.item, "read_at", "read", "unread") }),
      archive: h("button", { class: "act", type: "button", onclick: () => this.#flip(row.item, "archived_at", "archive", "unarchive") }),
      mark: h("span", { class: "hidden" }),
    };
    const { title, body, time, read, archive, mark } = row.parts;
    const meta = h("span", { class: "meta" }, h("span", {}, label(item.category)), " · ", time);
    main.append(...[face(item), h("span", { class: "words" }, mark, title, body, meta)]);
    main.addEventListener("click", (event) => this.#follow(event, row));
    row.append(main, h("span", { class: "acts" }, read, archive));
    this.#rows.set(item.id, row);
    this.#watchers[0].observe(row);
    return row;
  }

  #follow(event, row) {
    const { item } = row;
    if (!item.read_at) this.#try(this.#client.read(item));
    row.classList.toggle("open");
    const go = this.dispatchEvent(new CustomEvent("carillon-open", { detail: item, bubbles: true, composed: true, cancelable: true }));
    if (!go) event.preventDefault();
  }

  #flip(item, field, set, unset) {
    this.#try(this.#client[item[field] ? unset : set](item));
  }

  /** A row that goes away hands its focus to the next one. */
  #keepFocus(row) {
    if (!row.contains(this.shadowRoot.activeElement)) return;
    const next = row.nextElementSibling ?? row.previousElementSibling;
    (next?.querySelector(".main") ?? this.#parts.panel).focus({ preventScroll: true });
  }

  #renderState() {
    const { items, state: kind, filter } = this.#list;
    const root = this.#parts.state;
    root.className = `state ${items.length ? "none" : kind}`;
    if (items.length) return root.replaceChildren();
    if (kind === "loading") return root.replaceChildren(...[1, 2, 3].map(() => h("div", { class: "ghost" }, h("i"), h("b"), h("s"))));
    const failed = kind === "error";
    const parts = [
      h("span", { class: "disc" }, icon(failed ? "alert" : filter === "archived" ? "archive" : "bell")),
      h("strong", {}, failed ? strings.errorTitle : strings.emptyTitle[filter]),
      h("span", {}, failed ? strings.errorText : strings.emptyText[filter]),
    ];
    if (failed) parts.push(h("button", { class: "retry", type: "button", onclick: () => this.#list.load() }, strings.retry));
    root.replaceChildren(...parts);
  }

  // --- what happens ------------------------------------------------------------------------------------------------

  #arrived(item) {
    this.#arriving.add(item.id);
    // The list has heard of it already and drawn its row.
    this.#rows.get(item.id)?.classList.add("arriving");
    if (!item.read_at && !this.hasAttribute("quiet")) this.#parts.live.textContent = strings.arrived(item.title || item.body);
    this.dispatchEvent(new CustomEvent("carillon-item", { detail: item, bubbles: true, composed: true }));
  }

  #showCounts() {
    const { counts } = this.#client;
    const count = this.getAttribute("badge") === "unread" ? counts.unread : counts.unseen;
    const { badge, bell, readAll } = this.#parts;
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? "99+" : String(count);
    bell.setAttribute("aria-label", strings.bell(count));
    bell.setAttribute("aria-expanded", String(this.#open));
    readAll.hidden = counts.unread === 0;
    const unread = counts.unread >= CAP ? `${CAP - 1}+` : String(counts.unread);
    this.#parts.tabs[1].textContent = counts.unread ? `${strings.unread} ${unread}` : strings.unread;
    this.dispatchEvent(new CustomEvent("carillon-counts", { detail: counts, bubbles: true, composed: true }));
  }

  #showStatus() {
    const { status } = this.#client;
    clearTimeout(this.#timers.notice);
    this.dataset.status = status;
    if (status === "online" || status === "connecting") return this.#notice("");
    if (status !== "offline") return this.#notice(strings[status]);
    this.#timers.notice = setTimeout(() => this.#notice(strings.offline), OFFLINE_AFTER_MS);
  }

  #notice(text) {
    this.#parts.notice.textContent = text;
    this.#parts.notice.hidden = !text;
  }

  async #try(promise) {
    try {
      await promise;
    } catch {
      this.#notice(strings.failed);
      clearTimeout(this.#timers.notice);
      this.#timers.notice = setTimeout(() => this.#showStatus(), OFFLINE_AFTER_MS);
    }
  }

  #tick() {
    for (const row of this.#rows.values()) paintTime(row);
  }
}

// --- drawing -----------------------------------------------------------------------------------------------------

function paint(row, filter) {
  const { item, parts } = row;
  row.classList.toggle("unread", !item.read_at);
  parts.mark.textContent = item.read_at ? "" : `${strings.unread}: `;
  button(parts.read, item.read_at ? "dot" : "check", item.read_at ? strings.markUnread : strings.markRead);
  const away = filter === "archived";
  button(parts.archive, away ? "restore" : "archive", away ? strings.unarchive : strings.archive);
  paintTime(row);
}

function paintTime({ item, parts }) {
  const made = new Date(item.created_at);
  parts.time.textContent = ago(made);
  parts.time.title = made.toLocaleString();
}

function button(element, name, title) {
  if (element.title === title) return;
  element.title = title;
  element.setAttribute("aria-label", title);
  element.replaceChildren(icon(name));
}

/** The sender's icon, or the category's first letter. */
function face(item) {
  const source = item.icon.length > 16 || item.icon.startsWith("/") ? safeLink(item.icon) : null;
  const hue = [...item.category].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 6, 0);
  const disc = h("span", { class: `face tone${hue}`, "aria-hidden": "true" });
  if (source) {
    const image = h("img", { src: source, alt: "", loading: "lazy", referrerPolicy: "no-referrer" });
    image.addEventListener("error", () => (disc.textContent = label(item.category).slice(0, 1)));
    disc.append(image);
  } else disc.textContent = item.icon || label(item.category).slice(0, 1);
  return disc;
}

const label = (slug) => (slug.charAt(0).toUpperCase() + slug.slice(1)).replaceAll("-", " ");

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];
let relative = null;

function ago(moment) {
  relative ??= new Intl.RelativeTimeFormat(document.documentElement.lang || undefined, { numeric: "auto", style: "short" });
  const seconds = Math.max(0, (Date.now() - moment) / 1000); // a clock that is behind does not see the future
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : strings.now;
}

/** The server lets nothing else in; this holds even if it did. */
function safeLink(link) {
  if (!link) return null;
  try {
    return ["http:", "https:"].includes(new URL(link, location.href).protocol) ? link : null;
  } catch {
    return null;
  }
}

function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name === "class" ? "class" : name, value);
  }
  element.append(...children.filter((child) => child !== null)); // strings become text nodes, never markup
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const DARK = `
  --bg: var(--carillon-background, #12191c); --raised: var(--carillon-raised, #1b2428);
  --text: var(--carillon-text, #eaf0f1); --muted: var(--carillon-muted, #9aa9ad);
  --border: var(--carillon-border, #2a363b); --accent: var(--carillon-accent, #5cc4c0); --on-accent: #06282a;
  --unread: var(--carillon-unread, rgb(92 196 192 / 9%)); --danger: var(--carillon-danger, #e5484d);
  --shadow: 0 16px 48px rgb(0 0 0 / 55%), 0 2px 8px rgb(0 0 0 / 40%);
  --tone-l: 78%; --tone-b: 24%; --tone-c: .055;`;

const styles = new CSSStyleSheet();
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
header { display: grid; grid-template-columns: 1fr auto; align-items: center; gap: 10px 12px; padding: 16px 18px 12px; border-bottom: 1px solid var(--border) }
h2 { margin: 0; font-size: 17px; font-weight: 650; letter-spacing: -.01em }
.text { color: var(--accent); font-size: 14px; font-weight: 550; padding: 4px 6px; margin: -4px -6px; border-radius: 6px }
.text:hover { background: var(--unread) }
.tabs { grid-column: 1 / -1; display: flex; gap: 4px; margin-inline-start: -4px }
.tab { padding: 4px 11px; border-radius: 99px; font-size: 14px; color: var(--muted); font-variant-numeric: tabular-nums }
.tab:hover { color: var(--text) }
.tab[aria-pressed="true"] { background: var(--raised); color: var(--text); font-weight: 550 }
.notice { margin: 0; padding: 8px 18px; font-size: 13.5px; color: var(--muted); background: var(--raised); border-bottom: 1px solid var(--border) }

.scroll { overflow-y: auto; overscroll-behavior: contain; min-height: 0; scrollbar-width: thin; scrollbar-color: var(--border) transparent }
:host([data-list]) .scroll { overflow: visible }
.items { list-style: none; margin: 0; padding: 0 }
.item { position: relative; display: flex; align-items: flex-start; border-bottom: 1px solid var(--border) }
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
.acts { flex: none; display: flex; padding: 10px 10px 0 0; opacity: 0; transition: opacity .12s }
.item:hover .acts, .item:focus-within .acts { opacity: 1 }
@media (hover: none) { .acts { opacity: .75 } }
.act { width: 34px; height: 34px; display: grid; place-items: center; border-radius: 8px; color: var(--muted) }
.act:hover { color: var(--text); background: color-mix(in srgb, currentColor 10%, transparent) }
.act .icon { width: 18px; height: 18px }

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
  header { padding-inline: 14px }
}
`);

if (!customElements.get("carillon-inbox")) customElements.define("carillon-inbox", CarillonInbox);
