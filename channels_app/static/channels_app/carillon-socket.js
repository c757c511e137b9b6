// One socket of the feed: opened, kept alive, and opened again. Part of carillon-client.js.

const PING_MS = 25_000; // the server drops who is silent for 150 s; hidden tabs get a timer a minute
const PONG_MS = 10_000; // no answer for so long: the connection is dead, whatever the browser thinks
const ACK_FRAMES = 100; // answer at least every hundred frames, or the server takes us for a slow reader
const BACKOFF_MS = 500;
const BACKOFF_CAP_MS = 30_000;
const POLL_MS = 15_000; // while there is no socket, the lists are read again this often at most

// Close codes of the server. After the first two, trying again cannot help.
const FORBIDDEN = 4403;
const UNAUTHENTICATED = 4401;
const TOO_MANY = 4429;

/**
 * `feed` is whom it serves: `baseUrl`, `hasToken()`, `ticket()` for the next socket, `since()` to catch up from, `renew()` for
 * another token; and who is told: `hear(frame)`, `setStatus(status)`, `resync()` while there is no socket.
 */
export class FeedSocket {
  #feed;
  #socket = null;
  #running = false;
  #over = false; // until there is another token
  #attempt = 0;
  #turn = 0;
  #heard = 0;
  #polledAt = 0;
  #timers = {};

  constructor(feed) {
    this.#feed = feed;
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    for (const type of ["online", "offline"]) addEventListener(type, this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
    this.restart();
  }

  stop() {
    this.#running = false;
    for (const type of ["online", "offline"]) removeEventListener(type, this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    Object.values(this.#timers).forEach(clearTimeout);
    this.#drop();
  }

  restart() {
    this.#attempt = 0;
    this.#over = false;
    if (this.#running) this.#connect();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  say(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  async #connect() {
    clearTimeout(this.#timers.retry);
    this.#drop();
    const turn = ++this.#turn;
    const protocols = [];
    if (this.#feed.hasToken()) {
      try {
        protocols.push("carillon.feed", await this.#feed.ticket());
      } catch (error) {
        if (turn !== this.#turn || !this.#running) return;
        return error.status === 401 ? this.#end("unauthorized") : this.#lost(0); // there was no fresh token to be had
      }
      if (turn !== this.#turn || !this.#running) return; // another connect, or a stop, came meanwhile
    }
    const url = new URL(`${this.#feed.baseUrl.replace(/^http/, "ws")}/ws/feed/`);
    const since = this.#feed.since();
    if (since !== null) url.searchParams.set("since", since);
    const socket = (this.#socket = new WebSocket(url, protocols));
    socket.onmessage = (event) => socket === this.#socket && this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.#socket && this.#lost(event.code);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    for (const name of ["ping", "pong", "stable"]) clearTimeout(this.#timers[name]);
    socket?.close();
  }

  #hear(frame) {
    clearTimeout(this.#timers.pong);
    if (++this.#heard % ACK_FRAMES === 0) this.#ping();
    if (frame.type === "hello") {
      this.#timers.stable = setTimeout(() => (this.#attempt = 0), PONG_MS);
      this.#schedulePing();
    }
    this.#feed.hear(frame);
  }

  #end(status) {
    this.#over = true;
    this.#feed.setStatus(status);
  }

  async #lost(code) {
    this.#drop();
    if (code === FORBIDDEN) return this.#end("forbidden");
    // With a token the next ticket tells: what ran out may have been the ticket alone.
    if (code === UNAUTHENTICATED && !this.#feed.hasToken() && !(await this.#feed.renew())) return this.#end("unauthorized");
    if (!this.#running) return;
    this.#feed.setStatus("offline");
    if (this.#attempt > 0 && Date.now() - this.#polledAt > POLL_MS) {
      this.#polledAt = Date.now();
      this.#feed.resync();
    }
    const window = Math.min(BACKOFF_CAP_MS, BACKOFF_MS * 2 ** this.#attempt++);
    const wait = code === TOO_MANY ? BACKOFF_CAP_MS : Math.random() * window; // full jitter
    clearTimeout(this.#timers.retry);
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
  }

  #wake = ({ type }) => {
    if (this.#over) return;
    if (type === "offline") this.#lost(0); // what is left of the socket says nothing any more
    else if (document.hidden) return;
    else if (type === "online" || !this.#socket) this.restart();
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
    if (!this.isOpen) return;
    this.say({ type: "ping" });
    clearTimeout(this.#timers.pong);
    this.#timers.pong = setTimeout(() => this.#lost(0), PONG_MS);
  }
}
