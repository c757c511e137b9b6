// Lists of feed items that stay true: on top of carillon-client.js.

const PAGE = 25;
const MAX_PAGE = 100;
const MAX_PAGES = 4; // read again at once; scrolling brings the rest

/** Whether an item is snoozed just now. */
export const isAsleep = (item) => Boolean(item.snoozed_until) && new Date(item.snoozed_until) > new Date();

/**
 * Items of one kind, newest first, kept true by its client. `filter`: "all", "unread", "snoozed" or "archived"; `category`: a slug, or "" for all.
 * Events: `change`. `state`: "loading" | "ready" | "error".
 */
export class FeedList extends EventTarget {
  #client;
  #cursor = null;
  #turn = 0;
  #missed = []; // what happened while a page was on its way
  #loading = false;

  constructor(client, filter = "all", category = "") {
    super();
    this.#client = client;
    this.filter = filter;
    this.category = category;
    this.items = [];
    this.state = "loading";
    this.version = -1;
    for (const type of ["item", "update", "resync", "hello"]) client.addEventListener(type, this);
  }

  close() {
    for (const type of ["item", "update", "resync", "hello"]) this.#client.removeEventListener(type, this);
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  handleEvent({ type, detail }) {
    if (type === "resync") return void this.load();
    if (type === "hello") {
      if (this.state === "ready" && this.version < this.#client.helloVersion) this.load();
      return;
    }
    if (this.#loading) this.#missed.push({ type, detail });
    this.#apply(type, detail);
    this.#changed();
  }

  /** The first page; and on, until what was on the screen is on it again, so that nothing there goes and comes back. */
  async load() {
    const turn = ++this.#turn;
    const newest = this.items[0]?.seq ?? Infinity;
    const found = [];
    let page = { next_cursor: "" };
    this.#loading = true;
    this.#missed = [];
    if (!this.items.length) this.#changed("loading");
    try {
      for (let pages = 0; !pages || (this.#falls(found, newest) && page.next_cursor && pages < MAX_PAGES); pages++) {
        const limit = pages ? MAX_PAGE : Math.min(MAX_PAGE, Math.max(PAGE, this.items.length));
        const next = await this.#client.page({ ...this.#query(), limit, ...(pages && { cursor: page.next_cursor }) });
        if (turn !== this.#turn) return;
        page = { ...next, counts: page.counts ?? next.counts }; // what the oldest of them is as old as
        found.push(...next.results);
      }
      this.items = found;
      this.#took(page);
      if (page.counts.version < this.#client.helloVersion) return this.load(); // older than the socket's start
    } catch {
      if (turn !== this.#turn) return;
      this.#loading = false;
      this.#changed(this.items.length ? "ready" : "error");
    }
  }

  /** Whether what was read falls short of what is on the screen. */
  #falls(found, newest) {
    return found.length < this.items.length || found.at(-1)?.seq > newest;
  }

  /** The next page, if there is one and none is on its way. */
  async more() {
    if (this.#loading || this.#cursor === null) return;
    const turn = ++this.#turn;
    this.#loading = true;
    this.#missed = [];
    try {
      const page = await this.#client.page({ ...this.#query(), limit: PAGE, cursor: this.#cursor });
      if (turn !== this.#turn) return;
      const known = new Set(this.items.map((item) => item.id));
      this.items.push(...page.results.filter((item) => !known.has(item.id)));
      this.#took(page);
    } catch {
      if (turn !== this.#turn) return;
      this.#loading = false;
      this.#changed();
    }
  }

  #took(page) {
    this.#cursor = page.next_cursor;
    this.#loading = false;
    this.version = page.counts.version;
    this.#missed.forEach(({ type, detail }) => this.#apply(type, detail));
    this.#missed = [];
    this.#changed("ready");
  }

  #query() {
    const kind = { all: {}, unread: { unread: true }, snoozed: { snoozed: true }, archived: { archived: true } }[this.filter];
    return this.category ? { ...kind, category: this.category } : kind;
  }

  #apply(type, detail) {
    if (type === "item") this.#insert(detail);
    else applyTo(this.items, detail);
    this.items = this.items.filter((item) => this.#belongs(item));
    const lacking = type === "update" ? (detail.items ?? []).filter((change) => this.#lacks(change)) : [];
    lacking.filter((change) => change.created_at).forEach((item) => this.#insert({ ...item })); // told in full
    if (lacking.some((change) => !change.created_at)) this.load();
  }

  /** Whether a change brings back an item that should stand among those on the screen, such as one unarchived. */
  #lacks(change) {
    if (change.seq === undefined || this.#loading || !this.#belongs(change)) return false;
    if (this.filter === "unread" && change.read_at) return false;
    if (this.hasMore && change.seq < this.items.at(-1)?.seq) return false;
    return !this.items.some((item) => item.id === change.id);
  }

  #insert(item) {
    const known = this.items.find((other) => other.id === item.id);
    if (known?.seq === item.seq) return;
    this.items = this.items.filter((other) => other !== known); // it woke up, and has another place now
    if (!this.#belongs(item)) return;
    if (this.filter === "unread" && item.read_at) return;
    const at = this.items.findIndex((other) => other.seq < item.seq);
    if (at === -1 && this.hasMore) return; // older than what is on the screen; its page brings it
    this.items.splice(at === -1 ? this.items.length : at, 0, item);
  }

  /** What was read stays where it is until the next load: a list that jumps under the pointer is no help. */
  #belongs(item) {
    if (this.category && item.category && item.category !== this.category) return false;
    if (this.filter === "archived") return Boolean(item.archived_at);
    return !item.archived_at && isAsleep(item) === (this.filter === "snoozed");
  }

  #changed(state = this.state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** Apply an `update` frame to items, in place. */
export function applyTo(items, update) {
  if (update.range) {
    const { from, through, category } = update.range;
    for (const item of items) {
      if (item.seq < from || item.seq > through || item.archived_at || isAsleep(item)) continue;
      if (category && item.category !== category) continue;
      item.seen_at ??= update.state.seen_at;
      item.read_at ??= update.state.read_at;
    }
    return;
  }
  const changes = new Map(update.items.map((change) => [change.id, change]));
  for (const item of items) Object.assign(item, changes.get(item.id));
}
