// What has just arrived: shown for a moment in a corner, or said to who looks at the list anyhow.

import { serverNow } from "./carillon-client.js";
import { face, h, icon, safeLink, words } from "./carillon-dom.js";
import "./carillon-icons.js";
import { strings } from "./carillon-strings.js";

const FRESH_MS = 60_000; // older is of an absence: the list tells of it
const SHOWN_MS = 6000;
const MAX_TOASTS = 3; // what comes beyond them is counted below them
const GATHER_MS = 5000; // between two announcements: a screen reader must be let finish
const said = {
  arrived: (title) => `New notification: ${title}`,
  arrivedMany: (count) => `${count} new notifications`,
  othersArrived: (count) => `and ${count} more`,
  dismiss: "Dismiss",
  ...strings,
};

const untold = new Map(); // of each live region, what came since its last announcement

/**
 * Tell of an item that has come. `page` is where: the element's `live` region and `toasts`, whether the person is
 * `looking` at its list, its `client`, `fire(type, detail)` to tell of a press, and `open()` for the list.
 */
export function tell(item, page) {
  if (page.looking) announce(page.live, item);
  else if (serverNow() - new Date(item.woken_at ?? item.created_at) < FRESH_MS) toast(page.toasts, item, page);
}

/** Say that an item has come; several that come soon after each other are said together. */
function announce(live, item) {
  const waiting = untold.get(live);
  if (waiting) return void waiting.push(item);
  const say = (items) => {
    if (!items.length) return void untold.delete(live);
    const [{ title, body }] = items;
    live.textContent = items.length === 1 ? said.arrived(title || body) : said.arrivedMany(items.length);
    const next = [];
    untold.set(live, next);
    setTimeout(say, GATHER_MS, next);
  };
  say([item]);
}

/** Show an item until it is pressed, dismissed or old; a pointer or a focus on it makes it wait. */
function toast(root, item, page) {
  if (root.querySelectorAll(".toast").length >= MAX_TOASTS) return count(root, page);
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    box.remove();
    if (!root.querySelector(".toast")) root.replaceChildren();
  };
  const wait = () => clearTimeout(timer);
  const go = () => (wait(), (timer = setTimeout(close, SHOWN_MS)));
  const pressed = () => (close(), follow(item, page));
  const main = h("button", { class: "main", onclick: pressed }, face(item), h("span", { class: "words" }, ...words(item)));
  const dismiss = h("button", { class: "act", "aria-label": said.dismiss, onclick: close }, icon("close"));
  const box = h("div", { class: "toast", part: "toast" }, main, dismiss);
  for (const type of ["pointerenter", "focusin"]) box.addEventListener(type, wait);
  for (const type of ["pointerleave", "focusout"]) box.addEventListener(type, go);
  box.addEventListener("keydown", (event) => event.key === "Escape" && close());
  const others = root.querySelector(".others");
  if (others) others.before(box);
  else root.append(box);
  go();
}

/** One more than are shown. Its number is not said: the badge has it, too. */
function count(root, { open }) {
  const others = root.querySelector(".others") ?? h("button", { class: "others", "aria-live": "off", onclick: open });
  others.count = (others.count ?? 0) + 1;
  others.textContent = said.othersArrived(others.count);
  root.append(others);
}

/** Where the item leads; the list, when that is nowhere. */
function follow(item, { client, fire, open }) {
  const href = safeLink(item.link);
  if (!href) return open();
  client.read(item).catch(() => {}); // the page is left
  if (fire("carillon-open", item)) location.assign(href);
}
