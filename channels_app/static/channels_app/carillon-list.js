// A list of feed items that stays true.

import { load, serverNow } from "./carillon-client.js";

const PAGE = 25;
export const MAX_PAGE = 100;
const EVENTS = ["item", "update", "resync", "hello"];
const QUERIES = { all: {}, unread: { unread: true }, snoozed: { snoozed: true }, archived: { archived: true } };

let changes = null;

export const isAsleep = (item) => Boolean(item.snoozed_until) && new Date(item.snoozed_until) > serverNow();

/** Items of one kind, newest first; docs/inbox.md shows how. Event: `change`. */
export class FeedList extends EventTarget {
  items = [];
  state = "loading";
  version = -1;
  isLoading = false;
  #client;
  #cursor = null;
  #turn = 0;
  #late = 0;
  #missed = []; // what happened while a page was on its way

  constructor(client, filter = "all", category = "") {
    super();
    this.#client = client;
    this.filter = filter;
    this.category = category;
    for (const type of EVENTS) client.addEventListener(type, this);
  }

  close() {
    for (const type of EVENTS) this.#client.removeEventListener(type, this);
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  handleEvent({ type, detail }) {
    const isOld = type === "hello" && !this.isLoading && this.version !== this.#client.helloVersion;
    if (type === "resync" || isOld) this.load();
    if (!detail) return;
    if (this.isLoading) this.#missed.push({ type, detail });
    this.#apply(type, detail);
    this.changed();
  }

  /** The first page, and on until what was there is there again, `most` of it. */
  async load(most = Infinity) {
    const newest = this.items[0]?.seq ?? Infinity;
    if (!this.items.length) this.changed("loading");
    const taken = await this.#fetch(async () => {
      const page = await this.#page({ limit: Math.min(MAX_PAGE, Math.max(PAGE, this.items.length)) });
      const short = () => page.next_cursor && (page.results.length < Math.min(most, this.items.length) || page.results.at(-1).seq > newest);
      if (short()) await (await load("changes"))?.readOn(page, short, (cursor) => this.#page({ limit: MAX_PAGE, cursor }));
      return page;
    });
    if (taken && this.version < this.#client.helloVersion) return this.load(); // older than the socket's start
  }

  async more() {
    if (this.isLoading || !this.hasMore) return;
    await this.#fetch(async () => {
      const page = await this.#page({ limit: PAGE, cursor: this.#cursor });
      return { ...page, results: [...this.items, ...page.results.filter((item) => !this.find(item))] };
    });
  }

  /** Take what `read` finds; false when another reading began, or it fails. */
  async #fetch(read) {
    const turn = ++this.#turn;
    this.isLoading = true;
    this.#missed = [];
    const page = await read().catch(() => null);
    if (turn !== this.#turn) return false;
    this.isLoading = false;
    if (page) this.#take(page);
    this.changed(page ? "ready" : "error");
    return Boolean(page);
  }

  #take(page) {
    this.items = page.results;
    this.#cursor = page.next_cursor;
    this.version = page.counts.version;
    for (const { type, detail } of this.#missed) this.#apply(type, detail);
  }

  #page(window) {
    return this.#client.page({ ...QUERIES[this.filter], ...(this.category && { category: this.category }), ...window });
  }

  /** States change at once. What brings an item, or concerns more than it names, takes a module. */
  #apply(type, detail) {
    const named = detail.items ?? [];
    const known = named.filter((change) => this.find(change));
    for (const change of known) Object.assign(this.find(change), change);
    this.items = this.items.filter((item) => this.belongs(item));
    if (known.length && known.length === named.length) return;
    if (changes) return changes.apply(this, type, detail);
    const late = this.#late++;
    load("changes").then((module) => {
      (changes = module)?.apply(this, type, detail);
      if (!late) this.load();
      this.#late--;
    });
  }

  find = ({ id }) => this.items.find((item) => item.id === id);

  /** What was read stays until the next load: no list jumps under the pointer. */
  belongs(item) {
    if (this.category && item.category && item.category !== this.category) return false;
    if (this.filter === "archived") return Boolean(item.archived_at);
    return !item.archived_at && isAsleep(item) === (this.filter === "snoozed");
  }

  changed(state = this.state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("change"));
  }
}
