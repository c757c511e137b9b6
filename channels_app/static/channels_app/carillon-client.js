// The feed without a face; docs/inbox.md tells its events. Counts are only ever what the server said.

import { FeedSocket } from "./carillon-socket.js";

const SEEN_MS = 400; // what is seen is gathered for so long
const SKEW_MS = 5000; // less is the way from the server

const releases = {}; // of each server, as the page first heard

export class CarillonClient extends EventTarget {
  counts = { unseen: 0, unread: 0, version: -1 };
  status = "connecting";
  helloVersion = -1;
  since = null; // the highest number known
  #socket = new FeedSocket(this);
  #seen = new Set();
  #seenTimer;
  #person = 0;

  constructor({ baseUrl, token, getToken } = {}) {
    super();
    this.baseUrl = new URL(baseUrl || "/", location.href).href.replace(/\/$/, "");
    this.token = token ?? "";
    this.getToken = getToken;
  }

  start() {
    this.#socket.start();
  }

  stop() {
    clearTimeout(this.#seenTimer);
    this.#seenTimer = undefined;
    this.#socket.stop();
  }

  /** It may be somebody else's: all is read anew. */
  setToken(token) {
    if (token === this.token) return;
    this.token = token;
    this.#person++;
    this.since = null;
    this.#seen.clear();
    this.counts = { ...this.counts, version: -1 };
    this.#socket.restart();
    this.resync();
  }

  async page(query = {}) {
    const page = await this.call("GET", `?${new URLSearchParams(query)}`);
    page.results.forEach((item) => this.#know(item));
    return page;
  }

  read = (item) => this.act("read", item, { read_at: now(), seen_at: item.seen_at ?? now() });

  /** Shows the state at once, and takes it back when the server does. */
  async act(action, item, state, body) {
    const person = this.#person;
    const tell = (told) => person === this.#person && this.#emit("update", { items: [told] });
    const before = Object.fromEntries(Object.keys(state).map((name) => [name, item[name]]));
    tell({ id: item.id, ...state });
    try {
      const answer = await this.call("POST", `${item.id}/${action}/`, body);
      tell(answer.item);
    } catch (error) {
      tell({ ...item, ...before });
      throw error;
    }
  }

  seen(item) {
    if (item.seen_at || this.#seen.has(item.id)) return;
    this.#seen.add(item.id);
    this.#soon();
  }

  #soon() {
    if (this.#seen.size) this.#seenTimer ??= setTimeout(() => this.#flushSeen(), SEEN_MS);
  }

  async #flushSeen() {
    this.#seenTimer = undefined;
    const ids = [...this.#seen].slice(0, 100);
    ids.forEach((id) => this.#seen.delete(id));
    this.#emit("update", { items: ids.map((id) => ({ id, seen_at: now() })) });
    if (this.#socket.isOpen) this.#socket.say({ type: "seen", ids });
    else for (const id of ids) await this.call("POST", `${id}/seen/`).catch(() => {});
    this.#soon();
  }

  /** Throws an Error with the `status`, 0 without a connection. */
  async call(method, path, body, retried = false) {
    const person = this.#person;
    const headers = body ? { "Content-Type": "application/json" } : {};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    else if (method !== "GET") headers["X-CSRFToken"] = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
    const response = await fetch(`${this.baseUrl}/api/v1/feed/${path}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
      credentials: this.token ? "omit" : "same-origin",
      keepalive: method !== "GET", // a click on a link leaves the page; the mark goes out all the same
    }).catch(() => fail(0));
    noteTime(response.headers.get("Date"));
    if (response.status === 401 && !retried && (await this.renew())) return this.call(method, path, body, true);
    if (!response.ok) fail(response.status);
    const answer = await response.json();
    if (person !== this.#person) fail(0); // it was for somebody else
    if (answer.counts) this.#count(answer.counts);
    return answer;
  }

  /** Null where the session lets the socket in. */
  ticket = async () => (this.token ? (await this.call("POST", "socket-ticket/")).ticket : null);

  /** Whether there was another token. */
  async renew() {
    const token = await (async () => this.getToken?.())().catch(() => "");
    const fresh = Boolean(token) && token !== this.token;
    if (fresh) this.token = token;
    return fresh;
  }

  hear(frame) {
    const { type, counts, item, release } = frame;
    if (type === "hello") {
      this.helloVersion = counts.version;
      this.setStatus(release === (releases[this.baseUrl] ??= release) ? "online" : "outdated");
      this.#soon();
    }
    if (counts) this.#count(counts);
    if (item) this.#know(item);
    if (type === "hello") this.#emit("hello");
    else if (type !== "counts" && type !== "pong") this.#emit(type, item ?? frame);
  }

  setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.#emit("status", status);
  }

  resync() {
    this.#emit("resync");
  }

  #know({ seq }) {
    this.since = Math.max(this.since ?? 0, seq);
  }

  #count(counts) {
    if (counts.version < this.counts.version) return; // said earlier, heard later
    this.counts = counts;
    this.#emit("counts", counts);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const shared = new Map();

/** One client, and one socket, for all who show a feed; give it back with `release`. */
export function sharedClient(options) {
  const key = `${options.baseUrl ?? ""} ${options.token ?? ""}`;
  const entry = shared.get(key) ?? { client: new CarillonClient(options), users: 0 };
  shared.set(key, entry);
  if (!entry.users++) entry.client.start();
  return entry.client;
}

export function release(client) {
  for (const [key, entry] of shared) {
    if (entry.client !== client || --entry.users > 0) continue;
    shared.delete(key);
    client.stop();
  }
}

function fail(status) {
  throw Object.assign(new Error(`The feed answered ${status}`), { status });
}

const failures = {};

/** A module; null while it can't be had. Browsers remember a failure, so the next try has another address. */
export const load = (name) => import(`./carillon-${name}.js${failures[name] ?? ""}`).catch(() => ((failures[name] = `?${Date.now()}`), null));

let skew = 0;

/** The server's time: a clock that is off puts nothing to sleep and wakes nothing. */
export const serverNow = () => new Date(Date.now() + skew);

const now = () => serverNow().toISOString();

function noteTime(date) {
  const off = Date.parse(date) - Date.now();
  skew = Math.abs(off) > SKEW_MS ? off : 0;
}
