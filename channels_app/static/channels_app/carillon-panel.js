// The views of <carillon-inbox> and the list. A row is drawn once, and painted anew.

import { Chips } from "./carillon-chips.js";
import { load } from "./carillon-client.js";
import { arrange, frame, h, soon } from "./carillon-dom.js";
import { FeedList } from "./carillon-list.js";
import { arrived, dayOf, drawRow, paint } from "./carillon-rows.js";
import { strings } from "./carillon-strings.js";

const FILTERS = ["all", "unread", "snoozed", "archived"];
const NOTICE_MS = 4000;
const CAP = 1000; // the server counts no further
const GHOSTS = 8;
const LONG = 300; // more than anybody looks at from the top

export class Panel {
  #client;
  #fire;
  #scrolls;
  #parts;
  #chips;
  #list = null;
  #rows = new Map();
  #days = new Map();
  #slid;
  #unfolded = new Set();
  #arriving = new Set();
  #noticed;
  #watchers;
  #drawing = false;
  #modules = {};

  /** `scrolls`: by itself, not with the page. `fire(type, detail)` is false when the page takes over. */
  constructor({ client, fire, scrolls = false }) {
    this.#client = client;
    this.#fire = fire;
    this.#scrolls = scrolls;
    this.#chips = new Chips(client, (slug) => this.show(this.#list.filter, slug));
    const readAll = () => this.attempt(this.need("deeds").then((deeds) => deeds.readAll(client, this.#chips.chosen)));
    const tab = (filter) => h("button", { class: "tab", onclick: () => this.show(filter) }, strings[filter]);
    const parts = (this.#parts = {
      readAll: h("button", { class: "text", onclick: readAll }, strings.readAll),
      tabs: FILTERS.map(tab),
      items: h("ul", { class: "items", part: "items" }),
      state: h("div"),
      end: h("div", { class: "end", "aria-hidden": "true" }),
      notice: h("p", { class: "notice", part: "notice", role: "status", hidden: true }),
    });
    const views = h("div", { class: "views", role: "group", "aria-label": strings.views }, ...parts.tabs);
    const tabs = h("div", { class: "tabs" }, views, this.#chips.element);
    const head = h("div", { class: "head", part: "head" }, h("h2", {}, strings.title), parts.readAll, tabs);
    parts.scroll = h("div", { class: "scroll" }, parts.items, parts.state, parts.end);
    this.element = h("section", { class: "panel", part: "panel", "aria-label": strings.title }, head, parts.scroll, parts.notice);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    for (const type of ["focusin", "pointerover"]) parts.items.addEventListener(type, ({ target }) => this.#touched(target.closest(".item")));
    const root = scrolls ? parts.scroll : null;
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.#sight(entry)), { root, threshold: 0.5 });
    const next = new IntersectionObserver((entries) => entries[0].isIntersecting && this.#list?.more(), { root, rootMargin: "400px" });
    this.#watchers = [seen, next];
    this.showCounts();
    this.showStatus();
  }

  close() {
    this.#list?.close();
    this.#list = null;
    this.#chips.close();
    this.#watchers.forEach((watcher) => watcher.disconnect());
    clearTimeout(this.#noticed);
    this.element.remove();
  }

  show(filter, category = this.#chips.chosen) {
    const { tabs, scroll } = this.#parts;
    this.#list?.close();
    this.#list = new FeedList(this.#client, filter, category);
    this.#list.addEventListener("change", () => this.draw());
    this.#chips.choose(category);
    FILTERS.forEach((name, at) => (tabs[at].ariaPressed = String(name === filter)));
    scroll.scrollTop = 0;
    this.#list.load();
  }

  /** A module; null while it can't be had. */
  async need(name) {
    return (this.#modules[name] ??= await load(name));
  }

  /** What comes together is drawn together, with all that it takes. */
  async draw() {
    if (this.#drawing || !this.#list) return;
    this.#drawing = true;
    const { items } = this.#list;
    if (items.length) await this.#chips.came; // or they push the rows down
    if (this.#lacksExtras) await soon(this.need("extras"));
    if (this.#rows.size && (this.#arriving.size || this.#rows.size !== items.length)) await soon(this.need("motion"));
    await this.#slid;
    await frame();
    this.#drawing = false;
    if (this.#list) this.#render();
    if (this.#lacksExtras) this.need("extras").then((extras) => extras && this.draw()); // late, or of what came in between
  }

  get #lacksExtras() {
    return !this.#modules.extras && this.#list?.items.some(({ data }) => data?.actions || data?.group);
  }

  #render() {
    const { items: root } = this.#parts;
    const { extras, motion } = this.#modules;
    const list = this.#list;
    const { items, filter } = list;
    const tops = this.#atTop && motion?.topsOf(root);
    const wanted = new Set(items.map(({ id }) => id));
    for (const [id, row] of this.#rows) if (!wanted.has(id)) this.#drop(id, row);
    const nodes = [];
    let today = null;
    for (const item of items) {
      const row = this.#rows.get(item.id) ?? this.#row(item);
      paint(row, item, filter);
      extras?.drawButtons(row, (event, action) => this.#follow(event, row.item, action));
      if (this.#arriving.has(item.id)) row.classList.add("arriving");
      const day = dayOf(arrived(item));
      if (day !== today && filter !== "snoozed") nodes.push(this.#day((today = day)));
      nodes.push(row);
    }
    extras?.fold(nodes, this.#unfolded, () => this.#render());
    arrange(root, nodes);
    this.#slid = tops && motion.slide(root, tops);
    this.#arriving.clear();
    this.#renderState();
    if (list.state !== "error") this.#fit(list);
    else if (items.length) list.state = "ready"; // for the next drawing
  }

  /** Watch the end anew, as under bundles it stays in sight; or let go of what is far below. */
  #fit(list) {
    const { end } = this.#parts;
    const [, next] = this.#watchers;
    if (list.items.length < LONG) next.disconnect(), next.observe(end);
    else if (this.#atTop) this.need("changes").then((changes) => changes?.shorten(list, end));
  }

  async #key(event) {
    if (!/^(Arrow(Down|Up)|Home|End)$/.test(event.key) || !this.#rows.size) return;
    event.preventDefault(); // later, the page has scrolled
    (await this.need("hands"))?.step(event.key, this.#parts.items);
  }

  get #atTop() {
    const { items, scroll } = this.#parts;
    return items.getBoundingClientRect().top >= (this.#scrolls ? scroll.getBoundingClientRect().top : 0);
  }

  #drop(id, row) {
    this.#modules.hands?.passFocusOn(row, this.element);
    row.remove();
    this.#rows.delete(id);
  }

  #day(day) {
    if (!this.#days.has(day)) this.#days.set(day, h("li", { class: "day" }, h("h3", {}, strings.days[day])));
    return this.#days.get(day);
  }

  #row(item) {
    const follow = (event) => (row.classList.toggle("open"), this.#follow(event, row.item));
    const others = async () => (await this.need("hands"))?.showMenu(row, this.#client, this);
    const row = drawRow(item, follow, others);
    this.#rows.set(item.id, row);
    this.#watchers[0].observe(row);
    return row;
  }

  #follow(event, item, action) {
    if (!item.read_at) this.attempt(this.#client.read(item)); // it is done with
    const told = action ? this.#fire("carillon-action", { item, action }) : this.#fire("carillon-open", item);
    if (!told) event.preventDefault();
  }

  async #touched(row) {
    if (row) (await this.need("hands"))?.drawButtons(row, this.#client, this);
  }

  /** In place of rows: ghosts while they load, or why there are none. */
  async #renderState() {
    const { items, state, filter } = this.#list;
    const { state: root } = this.#parts;
    const now = items.length ? "state none" : `state ${state} ${filter}`;
    if (root.className === now) return;
    root.className = now;
    root.replaceChildren();
    if (items.length) return;
    const ghost = () => h("div", { class: "ghost" }, h("i"), h("b"), h("s"));
    if (state === "loading") return root.append(...Array.from({ length: GHOSTS }, ghost));
    const retry = () => h("button", { class: "retry", onclick: () => this.#list.load() }, strings.retry);
    if (state === "error") return root.append(h("strong", {}, strings.errorTitle), retry());
    const empty = await this.need("empty");
    if (root.className !== now) return;
    if (empty) root.replaceChildren(...empty.explain(filter));
    else root.className = ""; // to be asked for again
  }

  #sight({ target, isIntersecting }) {
    target.inSight = isIntersecting;
    if (isIntersecting && !document.hidden) this.#client.seen(target.item);
  }

  looked() {
    this.draw();
    for (const row of this.#rows.values()) if (row.inSight) this.#client.seen(row.item);
  }

  arrived(item) {
    this.#arriving.add(item.id);
  }

  showCounts() {
    const { unread } = this.#client.counts;
    const { readAll, tabs } = this.#parts;
    readAll.hidden = unread === 0;
    tabs[1].textContent = unread ? `${strings.unread} ${unread >= CAP ? `${CAP - 1}+` : unread}` : strings.unread;
    if (!this.element.hidden) this.#chips.refresh();
  }

  showStatus() {
    const { status } = this.#client;
    this.#notice(strings[status] ?? "", status === "offline" ? NOTICE_MS : 0);
  }

  #notice(text, after = 0) {
    const { notice } = this.#parts;
    clearTimeout(this.#noticed);
    this.#noticed = setTimeout(() => Object.assign(notice, { textContent: text, hidden: !text }), after);
  }

  attempt(promise) {
    promise.catch(() => {
      this.#notice(strings.failed);
      setTimeout(() => this.showStatus(), NOTICE_MS);
    });
  }
}
