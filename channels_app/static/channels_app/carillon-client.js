/**
 * The feed without a face: one socket, the REST calls, and lists that stay true. No dependencies.
 *
 *   import { sharedClient } from "./carillon-client.js";
 *   import { FeedList } from "./carillon-list.js";
 *   const client = sharedClient({ baseUrl: "https://notify.example.com", token });
 *   const list = new FeedList(client);
 *   list.addEventListener("change", () => render(list.items));
 *   await list.load();
 *
 * Without a token the page's own session is used, which works on the server's own pages only. The server's table is the
 * truth: counts are only ever what the server said, and after every reconnect the lists are read again.
 */

import { FeedSocket } from "./carillon-socket.js";

const SEEN_MS = 400; // gather what was seen for so long
const STATES = ["seen_at", "read_at", "archived_at", "snoozed_until"];

export class FeedError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Events: `item` (detail: the item), `update` (detail: a change for `applyTo`), `counts`, `status`
 * ("connecting" | "online" | "offline" | "unauthorized" | "forbidden"), `hello`, `resync` (read again).
 */
export class CarillonClient extends EventTarget {
  #socket;
  #newest = null; // the item with the highest number we know
  #greeted = false;
  #seen = new Set();
  #seenTimer;
  #asked = false; // whether this socket was asked for what we missed
  #missedUntil = null; // the id of the last item that came while we were away

  /** `getToken`: an async function for a fresh token, asked when the old one has run out. */
  constructor({ baseUrl = "", token = "", getToken = null } = {}) {
    super();
    this.baseUrl = new URL(baseUrl || "/", location.href).href.replace(/\/$/, "");
    this.token = token;
    this.getToken = getToken;
    this.counts = { unseen: 0, unread: 0, version: -1 };
    this.status = "connecting";
    this.helloVersion = -1;
    this.catchingUp = false; // whether the item of an `item` event came while we were away
    this.#socket = new FeedSocket({
      baseUrl: this.baseUrl,
      hasToken: () => Boolean(this.token),
      ticket: async () => (await this.#call("POST", "socket-ticket/")).ticket,
      since: () => ((this.#asked = this.#newest !== null) ? this.#newest.seq : null),
      renew: () => this.#renew(),
      hear: (frame) => this.#hear(frame),
      setStatus: (status) => this.#setStatus(status),
      resync: () => this.#emit("resync"), // ask the API instead
    });
  }

  start() {
    this.#socket.start();
  }

  stop() {
    clearTimeout(this.#seenTimer);
    this.#seenTimer = undefined;
    this.#socket.stop();
  }

  /** Give a new token, for example after the `unauthorized` status. */
  setToken(token) {
    if (token === this.token) return;
    this.token = token;
    this.#socket.restart();
    this.#emit("resync");
  }

  // --- calls ---------------------------------------------------------------------------------------------------

  async page(query = {}) {
    const page = await this.#call("GET", `?${new URLSearchParams(query)}`);
    page.results.forEach((item) => this.#know(item));
    this.#count(page.counts);
    return page;
  }

  read = (item) => this.#act("read", item, { read_at: now(), seen_at: item.seen_at ?? now() });
  unread = (item) => this.#act("unread", item, { read_at: null });
  archive = (item) => this.#act("archive", item, { archived_at: now() });
  unarchive = (item) => this.#act("unarchive", item, { archived_at: null });
  snooze = (item, until) =>
    this.#act("snooze", item, { snoozed_until: until?.toISOString() ?? null }, { until: until?.toISOString() ?? null });

  /** The categories of the feed: `slug`, `name`, `items`, `unread`. */
  categories = async () => (await this.#call("GET", "categories/")).results;

  async readAll(category = "") {
    for (let more = true; more; ) {
      const answer = await this.#call("POST", "read-all/", category ? { category } : undefined);
      this.#count(answer.counts);
      more = answer.more;
    }
    if (this.status !== "online") this.#emit("resync");
  }

  /** Note that an item was on the screen; told to the server in batches. */
  seen(item) {
    if (item.seen_at || this.#seen.has(item.id)) return;
    this.#seen.add(item.id);
    this.#soon();
  }

  #soon() {
    if (this.#seen.size) this.#seenTimer ??= setTimeout(() => this.#flushSeen(), SEEN_MS);
  }

  async #act(action, item, state, body) {
    const before = Object.fromEntries(STATES.map((name) => [name, item[name]]));
    this.#emit("update", { items: [{ id: item.id, ...state }] });
    try {
      const answer = await this.#call("POST", `${item.id}/${action}/`, body);
      this.#emit("update", { items: [answer.item] });
      this.#count(answer.counts);
    } catch (error) {
      this.#emit("update", { items: [{ ...item, ...before }] });
      throw error;
    }
  }

  async #flushSeen() {
    this.#seenTimer = undefined;
    const ids = [...this.#seen].slice(0, 100);
    if (!ids.length) return;
    ids.forEach((id) => this.#seen.delete(id));
    this.#emit("update", { items: ids.map((id) => ({ id, seen_at: now() })) });
    if (this.#socket.isOpen) this.#socket.say({ type: "seen", ids });
    else for (const id of ids) await this.#call("POST", `${id}/seen/`).then((a) => this.#count(a.counts), () => {});
    this.#soon();
  }

  async #call(method, path, body, retried = false) {
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    else if (method !== "GET") headers["X-CSRFToken"] = cookie("csrftoken");
    let response;
    try {
      response = await fetch(`${this.baseUrl}/api/v1/feed/${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: this.token ? "omit" : "same-origin",
        keepalive: method !== "GET", // a click on a link leaves the page; the mark goes out all the same
      });
    } catch {
      throw new FeedError(0, "No connection");
    }
    if (response.status === 401 && !retried && (await this.#renew())) return this.#call(method, path, body, true);
    if (!response.ok) throw new FeedError(response.status, `The server answered ${response.status}`);
    return response.json();
  }

  async #renew() {
    if (!this.getToken) return false;
    try {
      const token = await this.getToken();
      const fresh = Boolean(token) && token !== this.token;
      this.token = token || this.token;
      return fresh;
    } catch {
      return false;
    }
  }

  // --- what the socket says ------------------------------------------------------------------------------------

  #hear(frame) {
    if (frame.type === "hello") this.#welcome(frame);
    else if (frame.type === "item") {
      this.#know(frame.item);
      this.catchingUp = this.#missedUntil !== null;
      if (frame.item.id === this.#missedUntil) this.#missedUntil = null;
      this.#emit("item", frame.item);
      this.catchingUp = false;
    } else if (frame.type === "update") this.#emit("update", frame);
    else if (frame.type === "counts") this.#count(frame.counts);
  }

  #welcome(frame) {
    this.helloVersion = frame.counts.version;
    this.#missedUntil = this.#asked && !frame.reset && frame.latest !== this.#newest?.id ? frame.latest : null;
    this.#setStatus("online");
    this.#count(frame.counts);
    this.#emit("hello");
    // A second hello, on this socket or the next, says that something may have been missed.
    if (this.#greeted || frame.reset) this.#emit("resync");
    this.#greeted = true;
    this.#soon();
  }

  #know(item) {
    if (!this.#newest || item.seq > this.#newest.seq) this.#newest = { id: item.id, seq: item.seq };
  }

  #count(counts) {
    if (counts.version < this.counts.version) return; // said earlier, heard later
    this.counts = counts;
    this.#emit("counts", counts);
  }

  #setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.#emit("status", status);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const shared = new Map();

/** One client, and so one socket, for all elements of a page that show the same feed; give it back with `release`. */
export function sharedClient(options) {
  const key = JSON.stringify([options.baseUrl ?? "", options.token ?? ""]);
  let entry = shared.get(key);
  if (!entry) {
    entry = { client: new CarillonClient(options), users: 0, key };
    shared.set(key, entry);
    entry.client.start();
  }
  entry.users++;
  return entry.client;
}

export function release(client) {
  for (const entry of shared.values()) {
    if (entry.client !== client || --entry.users > 0) continue;
    shared.delete(entry.key);
    client.stop();
  }
}

const now = () => new Date().toISOString();

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}
