/**
 * <carillon-inbox>: a bell with a badge and the feed behind it, or the feed itself. Its attributes, events, variables
 * and parts: docs/inbox.md. No dependencies, no build step. Content is set as text only.
 *
 *   <script type="module" src="https://notify.example.com/static/channels_app/carillon-inbox.js"></script>
 *   <carillon-inbox base-url="https://notify.example.com" token="..."></carillon-inbox>
 *
 * The panel's modules come when the bell stands, those of menus and toasts when one is wanted.
 */

import { release, sharedClient } from "./carillon-client.js";
import { h, icon, safeLink } from "./carillon-dom.js";
import { strings } from "./carillon-strings.js";

export { strings };

const CLOCK_MS = 30_000;
const EVENTS = ["counts", "status", "item"];
const soon = globalThis.requestIdleCallback ?? setTimeout;

const styles = new CSSStyleSheet();
await fetch(new URL("carillon-inbox.css", import.meta.url))
  .then((answer) => (answer.ok ? answer.text() : ""))
  .then((text) => styles.replaceSync(text))
  .catch(() => {}); // plain, but it works

class CarillonInbox extends HTMLElement {
  static observedAttributes = ["base-url", "token", "mode", "badge", "title-badge"];

  #client = null;
  #panel = null;
  #parts = {};
  #clock;
  #open = false;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [styles];
  }

  connectedCallback() {
    this.#client = sharedClient({
      baseUrl: this.getAttribute("base-url") ?? "",
      token: this.getAttribute("token") ?? "",
      getToken: this.getToken ?? null,
    });
    for (const type of EVENTS) this.#client.addEventListener(type, this);
    this.#build();
    this.#showCounts();
    this.#showStatus();
    this.#clock = setInterval(() => this.#panel?.tick(), CLOCK_MS);
    document.addEventListener("pointerdown", this.#outside);
    document.addEventListener("visibilitychange", this.#visible);
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    document.removeEventListener("pointerdown", this.#outside);
    document.removeEventListener("visibilitychange", this.#visible);
    for (const type of EVENTS) this.#client.removeEventListener(type, this);
    this.#panel?.close();
    this.#panel = null;
    this.#open = false;
    release(this.#client);
    this.#client = null;
    if (this.#titled) this.#showTitle(null);
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#client || before === after) return;
    if (name === "token") this.#client.setToken(after ?? "");
    else if (name === "badge") this.#showCounts();
    else if (name === "title-badge") this.#showTitle(after === null ? null : this.#client.counts.unread);
    else {
      this.disconnectedCallback();
      this.connectedCallback();
    }
  }

  handleEvent({ type, detail }) {
    if (type === "counts") this.#showCounts();
    else if (type === "status") this.#showStatus();
    else this.#arrived(detail);
  }

  get #mode() {
    const mode = this.getAttribute("mode");
    return ["list", "bell", "badge"].includes(mode) ? mode : "popover";
  }

  get #titled() {
    return this.hasAttribute("title-badge");
  }

  #build() {
    const mode = this.#mode;
    const parts = (this.#parts = {
      badge: h("span", { class: "badge", part: "badge", hidden: true, "aria-hidden": "true" }),
      name: h("span", { class: "hidden" }),
      live: h("p", { class: "hidden", "aria-live": "polite" }),
      toasts: h("div", { class: "toasts", part: "toasts", role: "status", "aria-live": "polite" }),
    });
    parts.bell = h("button", { class: "bell", part: "bell", type: "button", onclick: () => this.toggle() }, icon("bell"));
    this.toggleAttribute("data-list", mode === "list");
    if (mode === "list") {
      this.shadowRoot.replaceChildren(parts.live);
      this.#getPanel();
    } else if (mode === "badge") {
      parts.badge.classList.add("inline");
      this.shadowRoot.replaceChildren(parts.badge, parts.name, parts.live, parts.toasts);
    } else {
      parts.bell.append(parts.badge);
      this.shadowRoot.replaceChildren(parts.bell, parts.live, parts.toasts);
      if (mode === "bell") return;
      parts.bell.setAttribute("aria-haspopup", "dialog");
      parts.bell.setAttribute("aria-expanded", "false");
      soon(() => this.#getPanel());
    }
  }

  /** The panel, made when first asked for; null when its module can't be had, or isn't wanted any more. */
  async #getPanel() {
    const client = this.#client;
    if (this.#panel || !client) return this.#panel;
    const module = await import("./carillon-panel.js").catch(() => null);
    if (!module || client !== this.#client || this.#panel) return this.#panel;
    const popover = this.#mode === "popover";
    this.#panel = new module.Panel({ client, popover, fire: (type, detail) => this.#fire(type, detail) });
    this.#panel.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#open) return;
      event.stopPropagation();
      this.toggle(false);
    });
    this.#parts.live.before(this.#panel.element);
    this.#panel.show("all");
    return this.#panel;
  }

  // --- the popover -----------------------------------------------------------------------------------------------

  async toggle(open = !this.#open) {
    if (this.#mode === "bell") return void this.#fire("carillon-bell");
    if (this.#mode !== "popover" || open === this.#open) return;
    const { bell } = this.#parts;
    if (!open) return this.#shut(), bell.focus();
    const panel = await this.#getPanel();
    if (!panel) return void (bell.title = strings.errorTitle);
    const at = bell.getBoundingClientRect();
    const { element } = panel;
    this.#open = true;
    bell.setAttribute("aria-expanded", "true");
    element.hidden = false;
    element.classList.toggle("left", at.left + at.right < innerWidth);
    element.style.setProperty("--room", `${Math.max(240, innerHeight - at.bottom - 24)}px`);
    element.style.setProperty("--top", `${at.bottom + 8}px`);
    element.focus({ preventScroll: true });
    panel.showCounts();
  }

  #shut() {
    this.#open = false;
    this.#panel.element.hidden = true;
    this.#parts.bell.setAttribute("aria-expanded", "false");
  }

  #outside = (event) => this.#open && !event.composedPath().includes(this) && this.#shut();

  #visible = () => document.hidden || this.#panel?.looked();

  // --- what happens ------------------------------------------------------------------------------------------------

  #fire(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  #arrived(item) {
    this.#panel?.arrived(item);
    if (!item.read_at && !this.hasAttribute("quiet")) {
      if (this.#mode === "list" || this.#open) this.#parts.live.textContent = strings.arrived(item.title || item.body);
      else if (!this.#client.catchingUp) this.#toast(item);
    }
    this.#fire("carillon-item", item);
  }

  async #toast(item) {
    const { toasts } = this.#parts;
    const module = await import("./carillon-toast.js").catch(() => null); // the badge tells of it all the same
    module?.toast(toasts, item, () => {
      const href = safeLink(item.link);
      if (!href) return this.toggle(true);
      this.#client?.read(item).catch(() => {});
      if (this.#fire("carillon-open", item)) location.assign(href);
    });
  }

  #showCounts() {
    const { counts } = this.#client;
    const { badge, bell, name } = this.#parts;
    const count = counts[this.getAttribute("badge") === "unread" ? "unread" : "unseen"];
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? "99+" : String(count);
    bell.setAttribute("aria-label", strings.bell(count));
    name.textContent = strings.bell(count);
    this.#panel?.showCounts();
    if (this.#titled) this.#showTitle(counts.unread);
    this.#fire("carillon-counts", counts);
  }

  async #showTitle(count) {
    const { titleBadge } = await import("./carillon-title.js");
    titleBadge(this, count);
  }

  #showStatus() {
    this.dataset.status = this.#client.status;
    this.#panel?.showStatus();
  }
}

if (!customElements.get("carillon-inbox")) customElements.define("carillon-inbox", CarillonInbox);
