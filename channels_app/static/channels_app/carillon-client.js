/**
 * The feed without a face: one socket, the REST calls, and lists that stay true. No dependencies.
 *
 *   const client = sharedClient({ baseUrl: "https://notify.example.com", token });
 *   const list = new FeedList(client);
 *   list.addEventListener("change", () => render(list.items));
 *   await list.load();
 *
 * Without a token the page's own session is used, which works on the server's own pages only. With one, each socket is
 * opened with a ticket of its own, asked for just before. The server's table is the truth: counts are only ever what the
 * server said, and after every reconnect the lists are read again.
 */

const PING_MS = 25_000; // the server drops who is silent for 150 s; hidden tabs get a timer a minute
const PONG_MS = 10_000; // no answer for so long: the connection is dead, whatever the browser thinks
const ACK_FRAMES = 100; // answer at least every hundred frames, or the server takes us for a slow reader
const BACKOFF_MS = 500;
const BACKOFF_CAP_MS = 30_000;
const POLL_MS = 15_000; // while there is no socket, the lists are read again this often at most
const SEEN_MS = 400; // gather what was seen for so long
const STATES = ["seen_at", "read_at", "archived_at", "snoozed_until"];

/** Close codes after which trying again cannot help. */
const FORBIDDEN = 4403;
const UNAUTHENTICATED = 4401;
const TOO_MANY = 4429;

export { FeedList, applyTo } from "./carillon-list.js";

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
  #socket = null;
  #attempt = 0;
  #timers = {};
  #newest = null; // the item with the highest number we know
  #greeted = false;
  #heard = 0;
  #polledAt = 0;
  #seen = new Set();
  #running = false;
  #asked = false; // whether this socket was asked for what we missed
  #turn = 0;
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
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    addEventListener("online", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
    this.#connect();
  }

  stop() {
    this.#running = false;
    removeEventListener("online", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    Object.values(this.#timers).forEach(clearTimeout);
    this.#drop();
  }

  /** Give a new token, for example after the `unauthorized` status. */
  setToken(token) {
    if (token === this.token) return;
    this.token = token;
    if (!this.#running) return;
    this.#attempt = 0;
    this.#connect();
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
    this.#timers.seen ??= setTimeout(() => this.#flushSeen(), SEEN_MS);
  }

  async #act(action, item, state, body) {
    const before = Object.fromEntries(STATES.map((name) => [name, item[name]]));
    this.#emit("update", { items: [{ id: item.id, ...state }] });
    try {
      const answer = await this.#call("POST", `${item.id}/${action}/`, body);
      this.#emit("update", { items: [pick(answer.item)] });
      this.#count(answer.counts);
    } catch (error) {
      this.#emit("update", { items: [{ id: item.id, seq: item.seq, ...before }] });
      throw error;
    }
  }

  async #flushSeen() {
    delete this.#timers.seen;
    const ids = [...this.#seen].slice(0, 100);
    if (!ids.length) return;
    ids.forEach((id) => this.#seen.delete(id));
    this.#emit("update", { items: ids.map((id) => ({ id, seen_at: now() })) });
    if (this.#socket?.readyState === WebSocket.OPEN) this.#say({ type: "seen", ids });
    else for (const id of ids) await this.#call("POST", `${id}/seen/`).then((a) => this.#count(a.counts), () => {});
    if (this.#seen.size) this.#timers.seen ??= setTimeout(() => this.#flushSeen(), SEEN_MS);
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

  // --- the socket ----------------------------------------------------------------------------------------------

  async #connect() {
    clearTimeout(this.#timers.retry);
    this.#drop();
    if (!this.#running) return;
    const turn = ++this.#turn;
    let protocols = [];
    if (this.token) {
      try {
        protocols = ["carillon.feed", (await this.#call("POST", "socket-ticket/")).ticket];
      } catch (error) {
        if (turn !== this.#turn || !this.#running) return;
        if (error.status === 401) return this.#setStatus("unauthorized"); // and there was no fresh token to be had
        return this.#lost(0);
      }
      if (turn !== this.#turn || !this.#running) return; // another connect, or a stop, came meanwhile
    }
    const url = new URL(`${this.baseUrl.replace(/^http/, "ws")}/ws/feed/`);
    this.#asked = Boolean(this.#newest);
    if (this.#newest) url.searchParams.set("since", this.#newest.seq);
    const socket = new WebSocket(url, protocols);
    this.#socket = socket;
    socket.onmessage = (event) => socket === this.#socket && this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.#socket && this.#lost(event.code);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    ["ping", "pong", "stable"].forEach((name) => clearTimeout(this.#timers[name]));
    socket?.close();
  }

  #hear(frame) {
    clearTimeout(this.#timers.pong);
    if (++this.#heard % ACK_FRAMES === 0) this.#ping();
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
    this.#timers.stable = setTimeout(() => (this.#attempt = 0), PONG_MS);
    this.#schedulePing();
    if (this.#seen.size) this.#timers.seen ??= setTimeout(() => this.#flushSeen(), SEEN_MS);
  }

  async #lost(code) {
    this.#drop();
    if (code === FORBIDDEN) return this.#setStatus("forbidden");
    // With a token the next ticket tells: what ran out may have been the ticket alone.
    if (code === UNAUTHENTICATED && !this.token && !(await this.#renew())) return this.#setStatus("unauthorized");
    if (!this.#running) return;
    this.#setStatus("offline");
    if (this.#attempt > 0 && Date.now() - this.#polledAt > POLL_MS) {
      this.#polledAt = Date.now();
      this.#emit("resync"); // no socket: ask the API instead
    }
    const window = Math.min(BACKOFF_CAP_MS, BACKOFF_MS * 2 ** this.#attempt++);
    const wait = code === TOO_MANY ? BACKOFF_CAP_MS : Math.random() * window; // full jitter
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
  }

  #wake = () => {
    if (document.hidden || this.status === "unauthorized" || this.status === "forbidden") return;
    if (!this.#socket) this.#connect();
    else this.#ping();
  };

  #schedulePing() {
    clearTimeout(this.#timers.ping);
    this.#timers.ping = setTimeout(() => {
      this.#ping();
      this.#schedulePing();
    }, PING_MS);
  }

  #ping() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#say({ type: "ping" });
    clearTimeout(this.#timers.pong);
    this.#timers.pong = setTimeout(() => this.#lost(0), PONG_MS);
  }

  #say(frame) {
    this.#socket.send(JSON.stringify(frame));
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
const pick = (item) => Object.fromEntries(["id", "seq", ...STATES].map((name) => [name, item[name]]));

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}
