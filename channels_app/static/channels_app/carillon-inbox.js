/**
 * <carillon-inbox>: a bell with a badge and the feed behind it, or the feed itself. No dependencies, no build step.
 *
 *   <script type="module" src="https://notify.example.com/static/channels_app/carillon-inbox.js"></script>
 *   <carillon-inbox base-url="https://notify.example.com" token="..."></carillon-inbox>
 *
 * Attributes  base-url   where the server is; the page's own when left out
 *             token      a feed token; the page's session when left out
 *             mode       "popover" (default), "list", "bell" (fires carillon-bell) or "badge" (the number alone)
 *             badge      what the bell counts: "unseen" (default) or "unread"
 *             theme      "light" or "dark"; the system's when left out
 *             quiet      do not announce arrivals to screen readers: for the second element of a page
 *             title-badge  put the number of unread items before the page's title
 *             (data-status  set by the element: connecting, online, offline, unauthorized, forbidden)
 * Property    getToken   an async function for a fresh token when the old one has run out; set it before inserting
 * Events      carillon-open (cancelable; detail: the item), carillon-action (cancelable; detail: item and action),
 *             carillon-item, carillon-counts, carillon-bell; they bubble
 * Styling     --carillon-accent, -background, -raised, -text, -muted, -border, -unread, -danger, -radius, -font, -width
 * Words       `strings` of carillon-strings.js can be changed before the first element is made
 *
 * Content is set as text only, and a link is followed only to http, https or a path.
 */

import { FeedList, release, sharedClient } from "./carillon-client.js";
import { isAsleep } from "./carillon-list.js";
import { openMenu, snoozeTimes } from "./carillon-menu.js";
import { actions, arrived, dayOf, face, h, icon, label, paint, safeLink } from "./carillon-rows.js";
import { strings } from "./carillon-strings.js";
import { styles } from "./carillon-styles.js";
import { toast, toasts } from "./carillon-toast.js";

export { strings };

const FILTERS = ["all", "unread", "snoozed", "archived"];
const OFFLINE_AFTER_MS = 4000; // a short hiccup is nobody's business
const CLOCK_MS = 30_000;
const CATEGORIES_MS = 400; // after a change of the counts, the categories' counts are asked for
const CAP = 1000; // the server stops counting here

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
  #days = new Map();
  #unfolded = new Set();
  #category = "";

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
    if (this.#hasList) this.#show("all");
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
    this.#list?.close();
    this.#rows.clear();
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

  get #hasList() {
    return !["bell", "badge"].includes(this.getAttribute("mode"));
  }

  // --- structure -----------------------------------------------------------------------------------------------

  #build() {
    const parts = (this.#parts = {});
    parts.badge = h("span", { class: "badge", part: "badge", hidden: true, "aria-hidden": "true" });
    parts.bell = h("button", { class: "bell", part: "bell", type: "button", onclick: () => this.toggle() }, icon("bell"), parts.badge);
    if (this.#hasList) parts.bell.setAttribute("aria-haspopup", "dialog");
    parts.toasts = toasts();
    parts.cats = h("div", { class: "cats", role: "group", "aria-label": strings.categories });
    parts.readAll = h("button", { class: "text", type: "button", onclick: () => this.#try(this.#client.readAll(this.#category)) }, strings.readAll);
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
        "div",
        { class: "head" },
        h("h2", {}, strings.title),
        parts.readAll,
        h("div", { class: "tabs" }, h("div", { role: "group", "aria-label": strings.views }, ...parts.tabs), parts.cats),
      ),
      parts.notice,
      parts.scroll,
    );
    if (this.#isList) {
      this.shadowRoot.replaceChildren(parts.panel, parts.live);
    } else if (!this.#hasList) {
      const alone = this.getAttribute("mode") === "badge";
      if (alone) parts.badge.classList.add("inline");
      parts.name = h("span", { class: "hidden" });
      this.shadowRoot.replaceChildren(...(alone ? [parts.badge, parts.name] : [parts.bell]), parts.live, parts.toasts);
    } else {
      parts.panel.setAttribute("role", "dialog");
      parts.panel.tabIndex = -1;
      parts.panel.hidden = true;
      this.shadowRoot.replaceChildren(parts.bell, parts.panel, parts.live, parts.toasts);
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
    if (!this.#hasList) return void this.#fire("carillon-bell");
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
    const rows = [...this.#parts.items.querySelectorAll(".item:not([hidden])")];
    if (!rows.length || !(step || event.key === "Home" || event.key === "End")) return;
    const at = rows.findIndex((row) => row.contains(this.shadowRoot.activeElement));
    const edge = { Home: 0, End: rows.length - 1 }[event.key];
    const next = edge ?? (at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step)));
    event.preventDefault();
    rows[next].querySelector(".main").focus();
  }

  // --- the list --------------------------------------------------------------------------------------------------

  #show(filter, category = this.#category) {
    this.#category = category;
    this.#list?.close();
    this.#list = new FeedList(this.#client, filter, category);
    this.#list.addEventListener("change", () => this.#render());
    for (const tab of this.#parts.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.filter === filter));
    for (const tab of this.#parts.cats.children) tab.setAttribute("aria-pressed", String(tab.dataset.slug === category));
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
    const nodes = [];
    const bundles = new Map();
    let today = null;
    for (const item of items) {
      const row = this.#rows.get(item.id) ?? this.#row(item);
      row.item = item;
      paint(row, this.#list.filter);
      const day = dayOf(arrived(item));
      if (day !== today && this.#list.filter !== "snoozed") nodes.push(this.#day((today = day)));
      nodes.push(row);
      const group = typeof item.data?.group === "string" && item.data.group && `${day} ${item.category} ${item.data.group}`;
      row.hidden = false;
      if (!group) row.parts.more.hidden = true;
      else if (bundles.has(group)) bundles.get(group).push(row);
      else bundles.set(group, [row]);
    }
    for (const [group, rows] of bundles) this.#fold(group, rows);
    for (const node of [...root.querySelectorAll(".day")]) if (!nodes.includes(node)) node.remove();
    nodes.forEach((node, index) => root.children[index] === node || root.insertBefore(node, root.children[index] ?? null));
    this.#arriving.clear();
    this.#renderState();
  }

  #day(day) {
    if (!this.#days.has(day)) this.#days.set(day, h("li", { class: "day" }, h("h3", {}, strings.days[day])));
    return this.#days.get(day);
  }

  /** Items of one group and day: the newest stands for all until it is unfolded. */
  #fold(group, [first, ...others]) {
    const open = this.#unfolded.has(group);
    const { more } = first.parts;
    more.hidden = !others.length;
    more.textContent = open ? strings.less : strings.more(others.length);
    more.setAttribute("aria-expanded", String(open));
    more.onclick = () => {
      if (!this.#unfolded.delete(group)) this.#unfolded.add(group);
      this.#render();
    };
    for (const row of others) {
      row.hidden = !open;
      row.parts.more.hidden = true;
    }
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
      snooze: h("button", { class: "act", type: "button", onclick: () => this.#snooze(row) }),
      more: h("button", { class: "more", type: "button", hidden: true }),
      mark: h("span", { class: "hidden" }),
    };
    row.parts.snooze.setAttribute("aria-haspopup", "menu");
    const { title, body, time, read, snooze, archive, more, mark } = row.parts;
    const meta = h("span", { class: "meta" }, h("span", {}, label(item.category)), " · ", time);
    main.append(...[face(item), h("span", { class: "words" }, mark, title, body, meta)]);
    main.addEventListener("click", (event) => this.#follow(event, row));
    row.append(main, h("span", { class: "acts" }, read, snooze, archive), more);
    const given = actions(item, (event, action) => this.#press(event, row.item, action));
    if (given) more.before(given);
    this.#rows.set(item.id, row);
    this.#watchers[0].observe(row);
    return row;
  }

  #follow(event, row) {
    const { item } = row;
    if (!item.read_at) this.#try(this.#client.read(item));
    row.classList.toggle("open");
    if (!this.#fire("carillon-open", item)) event.preventDefault();
  }

  /** A sender's button: done with, so read; a page may take a link over as well. */
  #press(event, item, action) {
    if (!item.read_at) this.#try(this.#client.read(item));
    if (!this.#fire("carillon-action", { item, action })) event.preventDefault();
  }

  #snooze(row) {
    const { item } = row;
    if (isAsleep(item)) return this.#try(this.#client.snooze(item, null));
    const clock = (moment) => moment.toLocaleString(document.documentElement.lang || undefined, { weekday: "short", hour: "numeric", minute: "2-digit" });
    const entries = Object.entries(snoozeTimes()).map(([name, moment]) => [
      strings.snoozeTimes[name],
      clock(moment),
      () => this.#try(this.#client.snooze(item, moment)),
    ]);
    openMenu(this.shadowRoot, row.parts.snooze, strings.snooze, entries);
  }

  #fire(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true, cancelable: true }));
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
      h("span", { class: "disc" }, icon(failed ? "alert" : { archived: "archive", snoozed: "clock" }[filter] ?? "bell")),
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
    if (!item.read_at && !this.hasAttribute("quiet")) {
      if (this.#isList || this.#open) this.#parts.live.textContent = strings.arrived(item.title || item.body);
      else if (!this.#client.catchingUp) toast(this.#parts.toasts, item, () => this.#openToast(item));
    }
    this.#fire("carillon-item", item);
  }

  #openToast(item) {
    const href = safeLink(item.link);
    if (!href) return this.toggle(true);
    this.#try(this.#client.read(item));
    if (this.#fire("carillon-open", item)) location.assign(href);
  }

  async #showCategories() {
    delete this.#timers.categories;
    const { cats } = this.#parts;
    const found = await this.#client?.categories().catch(() => null);
    if (!found || cats !== this.#parts.cats) return;
    const shown = found.length > 1 || this.#category ? found : [];
    const had = cats.contains(this.shadowRoot.activeElement) ? this.shadowRoot.activeElement.dataset.slug : null;
    cats.replaceChildren(
      ...shown.map(({ slug, name, unread }) =>
        h("button", {
          class: "tab", type: "button", "data-slug": slug, "aria-pressed": String(slug === this.#category),
          onclick: () => this.#show(this.#list.filter, slug === this.#category ? "" : slug),
        }, `${name || label(slug)}${unread ? ` ${unread}` : ""}`),
      ),
    );
    if (had !== null) [...cats.children].find((tab) => tab.dataset.slug === had)?.focus();
  }

  #showCounts() {
    const { counts } = this.#client;
    const count = this.getAttribute("badge") === "unread" ? counts.unread : counts.unseen;
    const { badge, bell, readAll } = this.#parts;
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? "99+" : String(count);
    bell.setAttribute("aria-label", strings.bell(count));
    if (this.#hasList) bell.setAttribute("aria-expanded", String(this.#open));
    readAll.hidden = counts.unread === 0;
    const unread = counts.unread >= CAP ? `${CAP - 1}+` : String(counts.unread);
    this.#parts.tabs[1].textContent = counts.unread ? `${strings.unread} ${unread}` : strings.unread;
    if (this.#parts.name) this.#parts.name.textContent = strings.bell(count);
    if (this.hasAttribute("title-badge")) {
      const plain = document.title.replace(/^\(\d+\+?\) /, "");
      document.title = counts.unread ? `(${counts.unread > 99 ? "99+" : counts.unread}) ${plain}` : plain;
    }
    if (this.#hasList) this.#timers.categories ??= setTimeout(() => this.#showCategories(), CATEGORIES_MS);
    this.#fire("carillon-counts", counts);
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
    if (this.#list && this.#rows.size) this.#render(); // times, and the days at midnight
  }
}

if (!customElements.get("carillon-inbox")) customElements.define("carillon-inbox", CarillonInbox);
