// One socket of the feed: opened, kept alive, and opened again.

const PING_MS = 25_000; // the server drops who is silent for 150 s; hidden tabs get a timer a minute
const PONG_MS = 10_000; // without an answer it is dead, whatever the browser thinks
const ACK_FRAMES = 100; // or the server takes us for a slow reader
const BACKOFF_MS = 500;
const BACKOFF_CAP_MS = 30_000;
const WAKING = ["online", "offline", "visibilitychange"];
const POLL_AFTER = 5; // attempts, so far apart that each may read the lists again

// Close codes of the server.
const FORBIDDEN = 4403;
const UNAUTHENTICATED = 4401;
const TOO_MANY = 4429;

export class FeedSocket {
  #feed;
  #socket = null;
  #running = false;
  #over = false; // until there is another token
  #attempt = 0;
  #turn = 0;
  #heard = 0;
  #timers = {};

  constructor(feed) {
    this.#feed = feed;
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    for (const type of WAKING) addEventListener(type, this.#wake);
    this.restart();
  }

  stop() {
    this.#running = false;
    for (const type of WAKING) removeEventListener(type, this.#wake);
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
    const ticket = await this.#feed.ticket().catch((error) => error);
    if (turn !== this.#turn || !this.#running) return;
    if (ticket instanceof Error) return ticket.status === 401 ? this.#end("unauthorized") : this.#lost(0);
    const { since } = this.#feed;
    const url = `${this.#feed.baseUrl.replace(/^http/, "ws")}/ws/feed/${since === null ? "" : `?since=${since}`}`;
    const socket = (this.#socket = new WebSocket(url, ticket ? ["carillon.feed", ticket] : []));
    socket.onmessage = (event) => socket === this.#socket && this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.#socket && this.#lost(event.code);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    for (const name of ["ping", "pong"]) clearTimeout(this.#timers[name]);
    socket?.close();
  }

  #hear(frame) {
    clearTimeout(this.#timers.pong);
    if (++this.#heard % ACK_FRAMES === 0) this.#ping();
    if (frame.type === "hello") {
      clearInterval(this.#timers.ping); // another may come on one socket
      this.#timers.ping = setInterval(() => this.#ping(), PING_MS);
    }
    if (frame.type === "pong") this.#attempt = 0;
    this.#feed.hear(frame);
  }

  #end(status) {
    this.#over = true;
    this.#feed.setStatus(status);
  }

  async #lost(code) {
    this.#drop();
    if (code === FORBIDDEN) return this.#end("forbidden");
    // With a token the next ticket tells: the last one may have run out alone.
    if (code === UNAUTHENTICATED && !this.#feed.token && !(await this.#feed.renew())) return this.#end("unauthorized");
    if (!this.#running) return;
    this.#feed.setStatus("offline");
    if (this.#attempt === 1 || this.#attempt > POLL_AFTER) this.#feed.resync();
    const window = Math.min(BACKOFF_CAP_MS, BACKOFF_MS * 2 ** this.#attempt++);
    const wait = code === TOO_MANY ? BACKOFF_CAP_MS : Math.random() * window; // full jitter
    clearTimeout(this.#timers.retry);
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
  }

  #wake = ({ type }) => {
    if (this.#over) return;
    if (type === "offline") this.#lost(0);
    else if (document.hidden) return;
    else if (type === "online" || !this.#socket) this.restart();
    else this.#ping();
  };

  #ping() {
    if (!this.isOpen) return;
    this.say({ type: "ping" });
    clearTimeout(this.#timers.pong);
    this.#timers.pong = setTimeout(() => this.#lost(0), PONG_MS);
  }
}
