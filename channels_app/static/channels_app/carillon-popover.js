// How the panel of <carillon-inbox> hangs from its bell: where it opens, and what closes it.

import { soon } from "./carillon-dom.js";
import { Panel } from "./carillon-panel.js";

export class Popover extends Panel {
  #bell;

  constructor({ bell, ...page }) {
    super({ ...page, scrolls: true });
    this.#bell = bell;
    Object.assign(this.element, { role: "dialog", tabIndex: -1, hidden: true });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.toggle(false);
    });
  }

  get isOpen() {
    return !this.element.hidden;
  }

  toggle(open = !this.isOpen) {
    if (open === this.isOpen) return;
    if (open) return void this.#open();
    this.#shut();
    this.#bell.focus();
  }

  close() {
    this.#shut();
    super.close();
  }

  async #open() {
    const { element } = this;
    if (this.#bell.matches(":focus-visible")) await soon(this.need("hands")); // the next keys come at once
    if (!element.isConnected) return;
    const { left, right, bottom } = this.#bell.getBoundingClientRect();
    this.#bell.ariaExpanded = "true";
    element.classList.toggle("left", left + right < innerWidth);
    element.style.cssText = `--room: ${innerHeight - bottom - 24}px; --top: ${bottom + 8}px`;
    element.hidden = false;
    element.focus({ preventScroll: true });
    document.addEventListener("pointerdown", this.#outside);
    this.showCounts();
  }

  /** The focus stays where it is. */
  #shut() {
    this.element.hidden = true;
    this.#bell.ariaExpanded = "false";
    document.removeEventListener("pointerdown", this.#outside);
  }

  #outside = (event) => event.composedPath().includes(this.#bell.getRootNode().host) || this.#shut();
}
