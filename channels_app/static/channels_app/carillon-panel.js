// The panel of <carillon-inbox>: its views and the list. A row is drawn once and painted anew when its item changes.

import { h, icon, label, clock } from "./carillon-dom.js";
import { FeedList, isAsleep } from "./carillon-list.js";
import { arrived, dayOf, drawRow, paint } from "./carillon-rows.js";
import { strings } from "./carillon-strings.js";

const FILTERS = ["all", "unread", "snoozed", "archived"];
const CATEGORIES_MS = 400; // after a change of the counts, the categories' counts are asked for
const NOTICE_MS = 4000; // a short hiccup is nobody's business
const SLIDE = { duration: 180, easing: "ease-out" };
const CAP = 1000; // the server stops counting here

export class Panel {
  #client;
  #fire;
  #parts = {};
  #list = null;
  #rows = new Map();
  #days = new Map();
  #arriving = new Set();
  #unfolded = new Set();
  #category = "";
  #timers = {};
  #watchers;
  #drawing = false;
  #slid = null;
  #popover;

  /** `popover`: whether it hangs from a bell. `fire(type, detail)` tells the page; false says that it takes over. */
  constructor({ client, popover, fire }) {
    this.#client = client;
    this.#fire = fire;
    this.#popover = popover;
    const parts = this.#parts;
    const button = (name, onclick, ...inside) => h("button", { class: name, type: "button", onclick }, ...inside);
    parts.readAll = button("text", () => this.try(client.readAll(this.#category)), strings.readAll);
    parts.tabs = FILTERS.map((filter) => h("button", { class: "tab", type: "button", "data-filter": filter, onclick: () => this.show(filter) }, strings[filter]));
    parts.cats = h("div", { class: "cats", role: "group", "aria-label": strings.categories });
    parts.items = h("ul", { class: "items", part: "items" });
    parts.state = h("div", { class: "state" });
    const end = h("div", { class: "end", "aria-hidden": "true" });
    parts.scroll = h("div", { class: "scroll" }, parts.items, parts.state, end);
    parts.notice = h("p", { class: "notice", part: "notice", role: "status", hidden: true });
    const tabs = h("div", { class: "tabs" }, h("div", { role: "group", "aria-label": strings.views }, ...parts.tabs), parts.cats);
    const head = h("div", { class: "head", part: "head" }, h("h2", {}, strings.title), parts.readAll, tabs);
    this.element = h("section", { class: "panel", part: "panel", "aria-label": strings.title, onkeydown: (event) => this.#key(event) }, head, parts.scroll, parts.notice);
    if (popover) Object.assign(this.element, { role: "dialog", tabIndex: -1, hidden: true });
    // What scrolls into sight is seen; the end of the list brings the next page.
    const root = popover ? parts.scroll : null;
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.#sight(entry)), { root, threshold: 0.5 });
    const next = new IntersectionObserver((entries) => entries[0].isIntersecting && this.#list?.more(), { root, rootMargin: "400px" });
    next.observe(end);
    this.#watchers = [seen, next];
    this.showCounts();
    this.showStatus();
  }

  close() {
    this.#list?.close();
    this.#list = null;
    this.#watchers.forEach((watcher) => watcher.disconnect());
    Object.values(this.#timers).forEach(clearTimeout);
    this.element.remove();
  }

  show(filter, category = this.#category) {
    const { tabs, cats, scroll } = this.#parts;
    this.#category = category;
    this.#list?.close();
    this.#list = new FeedList(this.#client, filter, category);
    this.#list.addEventListener("change", () => this.#draw());
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.filter === filter));
    for (const tab of cats.children) tab.setAttribute("aria-pressed", String(tab.dataset.slug === category));
    scroll.scrollTop = 0;
    this.#list.load();
  }

  // --- the list --------------------------------------------------------------------------------------------------

  /** Soon: what comes together is drawn together, and nothing slides off to somewhere else on its way. */
  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    const draw = () => {
      this.#drawing = false;
      if (this.#list) this.#render();
    };
    const frame = (next) => (document.hidden ? setTimeout(next) : requestAnimationFrame(next));
    if (this.#slid) this.#slid.then(() => frame(() => frame(draw)));
    else frame(draw);
  }

  #render() {
    const { items: root } = this.#parts;
    const { items, filter } = this.#list;
    const tops = this.#tops(root);
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
      paint(row, item, filter);
      if (this.#arriving.has(item.id)) row.classList.add("arriving");
      const day = dayOf(arrived(item));
      if (day !== today && filter !== "snoozed") nodes.push(this.#day((today = day)));
      nodes.push(row);
      const group = typeof item.data?.group === "string" && item.data.group;
      const key = group ? JSON.stringify([day, item.category, group]) : item.id;
      if (bundles.has(key)) bundles.get(key).push(row);
      else bundles.set(key, [row]);
    }
    for (const [group, rows] of bundles) this.#fold(group, rows);
    for (const node of [...root.querySelectorAll(".day")]) if (!nodes.includes(node)) node.remove();
    nodes.forEach((node, index) => root.children[index] === node || root.insertBefore(node, root.children[index] ?? null));
    this.#slide(root, tops);
    this.#arriving.clear();
    this.#renderState();
  }

  /** Where the rows stand on the screen; none when nothing is to slide. */
  #tops(root) {
    if (document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return new Map();
    const edge = this.#popover ? this.#parts.scroll.getBoundingClientRect().top : 0;
    if (root.getBoundingClientRect().top < edge) return new Map(); // scrolled down: the browser keeps them in place
    return new Map([...root.children].map((node) => [node, node.offsetTop]));
  }

  /** What was on the screen glides to its new place instead of jumping there, and what is new comes along with it. */
  #slide(root, tops) {
    if (!tops.size) return;
    let by = 0;
    let last = null;
    for (const node of [...root.children].reverse()) {
      if (tops.has(node)) by = tops.get(node) - node.offsetTop;
      if (!by || node.hidden) continue;
      last = node.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], SLIDE);
    }
    const late = new Promise((done) => setTimeout(done, 5 * SLIDE.duration)); // of a page that is hidden meanwhile
    this.#slid = last && Promise.race([last.finished, late]).finally(() => (this.#slid = null));
  }

  #day(day) {
    if (!this.#days.has(day)) this.#days.set(day, h("li", { class: "day" }, h("h3", {}, strings.days[day])));
    return this.#days.get(day);
  }

  /** Items of one group and day: the newest stands for all until it is unfolded. */
  #fold(group, [first, ...others]) {
    const open = this.#unfolded.has(group);
    const { more } = first.parts;
    first.hidden = false;
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
    const flip = (field, set, unset) => ({ item }) => this.try(this.#client[item[field] ? unset : set](item));
    const row = drawRow(item, {
      read: flip("read_at", "read", "unread"),
      archive: flip("archived_at", "archive", "unarchive"),
      snooze: (row) => this.#snooze(row),
      others: (row) => this.#others(row),
      follow: (event, row) => {
        if (!row.item.read_at) this.try(this.#client.read(row.item));
        row.classList.toggle("open");
        if (!this.#fire("carillon-open", row.item)) event.preventDefault();
      },
      press: (event, _, action) => {
        const { item } = row;
        if (!item.read_at) this.try(this.#client.read(item)); // done with, so read
        if (!this.#fire("carillon-action", { item, action })) event.preventDefault();
      },
    });
    this.#rows.set(item.id, row);
    this.#watchers[0].observe(row);
    return row;
  }

  /** `entries`: made from the module of menus, which comes with the first one. */
  async #menu(anchor, name, entries) {
    const menu = await import("./carillon-menu.js");
    menu.openMenu(this.element.getRootNode(), anchor, name, entries(menu));
  }

  #snooze({ item, parts: { snooze, others } }) {
    const until = (moment) => this.try(this.#client.snooze(item, moment));
    if (isAsleep(item)) return until(null);
    const anchor = snooze.offsetParent ? snooze : others; // the one of them that is shown
    this.try(this.#menu(anchor, strings.snooze, ({ snoozeTimes }) =>
      Object.entries(snoozeTimes()).map(([name, moment]) => [strings.snoozeTimes[name], clock(moment), () => until(moment)]),
    ));
  }

  #others({ parts: { read, snooze, archive, others } }) {
    const shown = [read, snooze, archive].filter((button) => !button.hidden);
    this.try(this.#menu(others, strings.actions, () => shown.map((button) => [button.title, "", () => button.click()])));
  }

  get #focused() {
    return this.element.getRootNode().activeElement;
  }

  /** A row that goes away hands its focus to the next one. */
  #keepFocus(row) {
    if (!row.contains(this.#focused)) return;
    const near = (step, other = row) => {
      do other = other[step];
      while (other && (other.hidden || !other.parts));
      return other;
    };
    (near("nextElementSibling") ?? near("previousElementSibling"))?.querySelector(".main").focus({ preventScroll: true });
    if (row.contains(this.#focused)) this.element.focus({ preventScroll: true });
  }

  #renderState() {
    const { items, state: kind, filter } = this.#list;
    const { state: root } = this.#parts;
    const now = items.length ? "none" : `${kind} ${filter}`;
    if (root.dataset.now === now) return;
    root.dataset.now = now;
    root.className = `state ${items.length ? "none" : kind}`;
    if (items.length) return root.replaceChildren();
    if (kind === "loading") return root.replaceChildren(...[1, 2, 3].map(() => h("div", { class: "ghost" }, h("i"), h("b"), h("s"))));
    const failed = kind === "error";
    root.replaceChildren(
      h("span", { class: "disc" }, icon(failed ? "alert" : { archived: "archive", snoozed: "clock" }[filter] ?? "bell")),
      h("strong", {}, failed ? strings.errorTitle : strings.emptyTitle[filter]),
      h("span", {}, failed ? strings.errorText : strings.emptyText[filter]),
      failed ? h("button", { class: "retry", type: "button", onclick: () => this.#list.load() }, strings.retry) : "",
    );
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.#parts.items.querySelectorAll(".item:not([hidden])")];
    if (!rows.length || !(step || event.key === "Home" || event.key === "End")) return;
    const at = rows.findIndex((row) => row.contains(this.#focused));
    const edge = { Home: 0, End: rows.length - 1 }[event.key];
    const next = edge ?? (at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step)));
    event.preventDefault();
    rows[next].querySelector(".main").focus();
  }

  // --- what happens ------------------------------------------------------------------------------------------------

  #sight({ target, isIntersecting }) {
    target.inSight = isIntersecting;
    if (isIntersecting && !document.hidden) this.#client.seen(target.item);
  }

  /** The page is looked at again. */
  looked() {
    this.tick();
    for (const row of this.#rows.values()) if (row.inSight) this.#client.seen(row.item);
  }

  /** Times, and the days at midnight. */
  tick() {
    if (this.#rows.size) this.#draw();
  }

  arrived(item) {
    this.#arriving.add(item.id);
  }

  showCounts() {
    const { unread } = this.#client.counts;
    const { readAll, tabs } = this.#parts;
    readAll.hidden = unread === 0;
    tabs[1].textContent = unread ? `${strings.unread} ${unread >= CAP ? `${CAP - 1}+` : unread}` : strings.unread;
    if (!this.element.hidden) this.#timers.categories ??= setTimeout(() => this.#showCategories(), CATEGORIES_MS);
  }

  async #showCategories() {
    delete this.#timers.categories;
    const { cats } = this.#parts;
    const found = await this.#client.categories().catch(() => null);
    if (!found || !this.#list) return;
    const had = cats.contains(this.#focused) ? this.#focused.dataset.slug : null;
    cats.replaceChildren(
      ...(found.length > 1 || this.#category ? found : []).map(({ slug, name, unread }) =>
        h("button", {
          class: "tab", type: "button", "data-slug": slug, "aria-pressed": String(slug === this.#category),
          onclick: () => this.show(this.#list.filter, slug === this.#category ? "" : slug),
        }, `${name || label(slug)}${unread ? ` ${unread}` : ""}`),
      ),
    );
    if (had !== null) [...cats.children].find((tab) => tab.dataset.slug === had)?.focus();
  }

  showStatus() {
    const { status } = this.#client;
    clearTimeout(this.#timers.notice);
    if (status === "online" || status === "connecting") this.#notice("");
    else if (status !== "offline") this.#notice(strings[status]);
    else this.#timers.notice = setTimeout(() => this.#notice(strings.offline), NOTICE_MS);
  }

  #notice(text) {
    this.#parts.notice.textContent = text;
    this.#parts.notice.hidden = !text;
  }

  async try(promise) {
    try {
      await promise;
    } catch {
      this.#notice(strings.failed);
      clearTimeout(this.#timers.notice);
      this.#timers.notice = setTimeout(() => this.showStatus(), NOTICE_MS);
    }
  }
}
