// The categories, each a chip that narrows the list to it.

import { arrange, h, label, soon } from "./carillon-dom.js";
import { strings } from "./carillon-strings.js";

const GATHER_MS = 400; // changes of the counts

export class Chips {
  chosen = "";
  element = h("div", { class: "cats", role: "group", "aria-label": strings.categories });
  #client;
  #pick;
  #tabs = new Map();
  #timer = null;

  /** `pick(slug)`: one was pressed; "" when it was the chosen one. */
  constructor(client, pick) {
    this.#client = client;
    this.#pick = pick;
    this.came = soon(this.#ask()); // the first rows wait for them
  }

  refresh() {
    this.#timer ??= setTimeout(() => this.#ask(), GATHER_MS);
  }

  close() {
    clearTimeout(this.#timer);
  }

  choose(slug) {
    this.chosen = slug;
    for (const [name, tab] of this.#tabs) tab.setAttribute("aria-pressed", String(name === slug));
  }

  async #ask() {
    this.#timer = null;
    const answer = await this.#client.call("GET", "categories/").catch(() => null);
    if (!answer) return;
    const found = answer.results;
    const shown = found.length > 1 || this.chosen ? found : [];
    const tabs = new Map(shown.map((category) => [category.slug, this.#tab(category)]));
    const pressed = this.#tabs.get(this.chosen); // which may be empty by now
    if (pressed && !tabs.has(this.chosen)) pressed.lastChild.textContent = "";
    if (pressed) tabs.set(this.chosen, pressed);
    this.#tabs = tabs;
    arrange(this.element, [...tabs.values()]);
    this.choose(this.chosen);
  }

  #tab({ slug, name, unread }) {
    const press = () => this.#pick(slug === this.chosen ? "" : slug);
    const tab = this.#tabs.get(slug) ?? h("button", { class: "tab", onclick: press }, h("span"), "");
    tab.title = tab.firstChild.textContent = name || label(slug);
    tab.lastChild.textContent = unread ? ` ${unread}` : "";
    return tab;
  }
}
