// <carillon-inbox>, as docs/inbox.md describes it. Content is set as text only.

import { load, release, sharedClient } from "./carillon-client.js";
import { h, icon } from "./carillon-dom.js";
import { strings } from "./carillon-strings.js";

const CLOCK_MS = 30_000;
const EVENTS = ["counts", "status", "item"];

let arrivals = null;

const styles = new CSSStyleSheet();
await fetch(new URL("carillon-inbox.css", import.meta.url))
  .then((answer) => (answer.ok ? answer.text() : ""))
  .then((text) => styles.replaceSync(text))
  .catch(() => {});

class CarillonInbox extends HTMLElement {
  static observedAttributes = ["base-url", "token", "mode", "badge", "title-badge"];

  #client = null;
  #panel = null;
  #parts = {};
  #clock;
  #titled = false;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [styles];
  }

  connectedCallback() {
    this.#client = sharedClient({
      baseUrl: this.getAttribute("base-url"),
      token: this.getAttribute("token"),
      getToken: this.getToken,
    });
    for (const type of EVENTS) this.#client.addEventListener(type, this);
    this.#build();
    this.#showCounts();
    this.#showStatus();
    this.#clock = setInterval(() => this.#panel?.draw(), CLOCK_MS);
    document.addEventListener("visibilitychange", this);
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    document.removeEventListener("visibilitychange", this);
    for (const type of EVENTS) this.#client.removeEventListener(type, this);
    this.#panel?.close();
    release(this.#client);
    this.#panel = this.#client = null;
    this.#showTitle();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#client || before === after) return;
    if (name === "token") this.#client.setToken(after ?? "");
    else if (name.endsWith("badge")) this.#showCounts();
    else {
      this.disconnectedCallback();
      this.connectedCallback();
    }
  }

  handleEvent({ type, detail }) {
    if (type === "counts") this.#showCounts();
    else if (type === "status") this.#showStatus();
    else if (type === "item") this.#arrived(detail);
    else if (!document.hidden) this.#panel?.looked();
  }

  get #mode() {
    const mode = this.getAttribute("mode");
    return ["list", "bell", "badge"].includes(mode) ? mode : "popover";
  }

  #build() {
    const mode = this.#mode;
    const badge = h("span", { class: "badge", part: "badge", hidden: true });
    const bell = h("button", { class: "bell", part: "bell", onclick: () => this.toggle() }, icon("bell"), badge);
    const live = h("p", { class: "hidden", "aria-live": "polite" });
    const toasts = h("div", { class: "toasts", part: "toasts", role: "status", "aria-atomic": "false" });
    this.#parts = { badge, bell, live, toasts };
    Object.assign(badge, mode === "badge" ? { role: "img" } : { ariaHidden: "true" }); // the bell's name has the number
    this.shadowRoot.replaceChildren(...{ list: [], badge: [badge, toasts] }[mode] ?? [bell, toasts], live);
    if (mode === "list") this.#showList();
    if (mode !== "popover") return;
    Object.assign(bell, { ariaHasPopup: "dialog", ariaExpanded: "false" });
    for (const type of ["pointerenter", "focus"]) bell.addEventListener(type, () => this.#getPanel()); // soon to be pressed
  }

  /** Made when first asked for; null when it can't be had, or isn't wanted any more. */
  async #getPanel() {
    const client = this.#client;
    if (this.#panel || !client) return this.#panel;
    const { bell, live } = this.#parts;
    const module = await load(this.#mode === "list" ? "panel" : "popover");
    if (!module || client !== this.#client || this.#panel) return this.#panel;
    this.#panel = new (module.Popover ?? module.Panel)({ client, bell, fire: this.#fire });
    live.before(this.#panel.element);
    this.#panel.show("all");
    return this.#panel;
  }

  async #showList() {
    const panel = await this.#getPanel();
    const { live } = this.#parts;
    if (!this.#client) return;
    live.classList.toggle("hidden", Boolean(panel));
    live.textContent = panel ? "" : strings.errorTitle;
  }

  /** Open or close the popover; of `mode="bell"`, tell the page that it was pressed. */
  async toggle(open) {
    if (this.#mode === "bell") return void this.#fire("carillon-bell");
    if (this.#mode !== "popover") return;
    const { bell, live } = this.#parts;
    const panel = await this.#getPanel();
    if (panel) panel.toggle(open);
    else if (this.#client) live.textContent = bell.title = strings.errorTitle;
  }

  #fire = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true, cancelable: true }));

  async #arrived(item) {
    this.#panel?.arrived(item);
    this.#fire("carillon-item", item);
    if (item.read_at || this.hasAttribute("quiet")) return;
    const looking = this.#mode === "list" || this.#panel?.isOpen;
    const page = { ...this.#parts, looking, client: this.#client, fire: this.#fire, open: () => this.toggle(true) };
    arrivals ??= load("arrivals"); // one promise, so that they are told of in their order
    const module = await arrivals;
    if (module) module.tell(item, page);
    else arrivals = null;
  }

  #showCounts() {
    const { counts } = this.#client;
    const { badge, bell } = this.#parts;
    const count = counts[this.getAttribute("badge") === "unread" ? "unread" : "unseen"];
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? "99+" : String(count);
    bell.ariaLabel = badge.ariaLabel = strings.bell(count);
    this.#panel?.showCounts();
    this.#showTitle();
    this.#fire("carillon-counts", counts);
  }

  async #showTitle() {
    this.#titled ||= this.hasAttribute("title-badge");
    if (this.#titled) (await load("title"))?.titleBadge(this, this.#client?.counts.unread);
  }

  #showStatus() {
    const { status } = this.#client;
    this.dataset.status = status;
    this.#panel?.showStatus();
    if (status !== "connecting" && this.#mode === "list" && !this.#panel) this.#showList();
  }
}

if (!customElements.get("carillon-inbox")) customElements.define("carillon-inbox", CarillonInbox);
