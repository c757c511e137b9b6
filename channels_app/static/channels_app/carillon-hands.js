// What can be done with a row of <carillon-inbox>: buttons for who hovers, a menu for who cannot, and keys.

import "./carillon-changes.js"; // what fails without a connection is put back
import { load } from "./carillon-client.js";
import { archive, snooze, unarchive, unread } from "./carillon-deeds.js";
import { h, icon, language } from "./carillon-dom.js";
import "./carillon-icons.js";
import { arrived } from "./carillon-rows.js";
import { strings } from "./carillon-strings.js";

const words = {
  markRead: "Mark as read",
  markUnread: "Mark as unread",
  archive: "Archive",
  unarchive: "Move back to inbox",
  snooze: "Snooze",
  wake: "Wake now",
  ...strings,
};

/** What can be done with an item in a view, each as a name, a picture, words and what to do. */
function deedsOf({ item, filter }, client, panel) {
  const attempt = (promise) => panel.attempt(promise);
  const snoozeMenu = (anchor) => attempt(openMenu((menu) => menu.snoozeMenu(anchor, words.snooze, (moment) => attempt(snooze(client, item, moment)))));
  const read = item.read_at
    ? ["read", "dot", words.markUnread, () => attempt(unread(client, item))]
    : ["read", "check", words.markRead, () => attempt(client.read(item))];
  const later = filter === "snoozed" ? ["snooze", "bell", words.wake, () => attempt(snooze(client, item, null))] : ["snooze", "clock", words.snooze, snoozeMenu];
  const away = ["archive", "archive", words.archive, () => attempt(archive(client, item))];
  const back = ["archive", "restore", words.unarchive, () => attempt(unarchive(client, item))];
  return filter === "archived" ? [read, back] : [read, later, away];
}

const openMenu = (open) => load("menu").then(open);

/** Give a row its buttons, when a pointer or the focus comes to it first. */
export function drawButtons(row, client, panel) {
  if (row.repaint) return;
  const { acts, others, time } = row.parts;
  const buttons = new Map();
  row.repaint = () => {
    time.title = arrived(row.item).toLocaleString(language());
    for (const [name, picture, title, act] of deedsOf(row, client, panel)) {
      const button = buttons.get(name) ?? h("button", { class: `act ${name}` });
      button.onclick = () => act(button);
      if (button.title === title) continue;
      button.title = button.ariaLabel = title;
      if (name === "snooze") button.ariaHasPopup = title === words.snooze ? "menu" : null;
      button.replaceChildren(icon(picture));
      buttons.set(name, button);
    }
  };
  row.repaint();
  acts.prepend(...buttons.values());
  acts.classList.add("drawn");
  if (focused(row) === others && !others.offsetParent) acts.firstChild.focus(); // it has just been hidden
}

/** The same in a menu. */
export function showMenu(row, client, panel) {
  const { others } = row.parts;
  const entries = deedsOf(row, client, panel).map(([, , title, act]) => [title, "", () => act(others)]);
  panel.attempt(openMenu((menu) => menu.openMenu(others, others.title, entries)));
}

const focused = (element) => element.getRootNode().activeElement;
const main = (row) => row.querySelector(".main");

/** Move the focus to another row of `items`: by ArrowDown, ArrowUp, Home or End. */
export function step(key, items) {
  const rows = [...items.querySelectorAll(".item:not([hidden])")];
  const at = rows.findIndex((row) => row.contains(focused(items)));
  const last = rows.length - 1;
  const to = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(0, at - 1), Home: 0, End: last }[key];
  if (rows[to]) main(rows[to]).focus();
}

/** A row that goes away hands its focus to the next one, or else the one before, or to the panel. */
export function passFocusOn(row, panel) {
  if (!row.contains(focused(panel))) return;
  const near = (way, other = row) => {
    do other = other[way];
    while (other && (other.hidden || !other.parts));
    return other;
  };
  const next = near("nextElementSibling") ?? near("previousElementSibling");
  if (next) main(next).focus({ preventScroll: true });
  if (row.contains(focused(panel))) panel.focus({ preventScroll: true });
}
