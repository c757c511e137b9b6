// A small menu beside a button, and the one of the moments to snooze until.

import { serverNow } from "./carillon-client.js";
import { clock, h } from "./carillon-dom.js";
import { strings } from "./carillon-strings.js";

const snoozeTimes = { hour: "In an hour", evening: "This evening", tomorrow: "Tomorrow", week: "Next week", ...strings.snoozeTimes };

/** Ask until when; `until(moment)` is told. */
export function snoozeMenu(anchor, name, until) {
  openMenu(anchor, name, Object.entries(momentsAhead()).map(([name, moment]) => [snoozeTimes[name], clock(moment), () => until(moment)]));
}

/** In an hour, this evening while it lies ahead, tomorrow morning, Monday morning. */
function momentsAhead(now = serverNow()) {
  const at = (days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour);
  const times = { hour: new Date(now.getTime() + 3_600_000) };
  if (now.getHours() < 17) times.evening = at(0, 18);
  times.tomorrow = at(1, 8);
  times.week = at((8 - now.getDay()) % 7 || 7, 8);
  return times;
}

/** `entries`: [words, smaller words, what to do]. Escape, Tab and a press elsewhere close it; focus goes back. */
export function openMenu(anchor, name, entries) {
  const root = anchor.getRootNode();
  const close = (back = true) => {
    removeEventListener("pointerdown", outside, true);
    removeEventListener("scroll", away, true);
    anchor.ariaExpanded = "false";
    menu.remove();
    if (back) anchor.focus();
  };
  const outside = (event) => event.composedPath().includes(menu) || close(false);
  const away = (event) => event.target !== menu && close(false);
  const buttons = entries.map(([words, small, act]) =>
    h("button", { role: "menuitem", tabIndex: -1, onclick: () => (close(), act()) }, words, h("small", {}, small)),
  );
  const menu = h("div", { class: "menu", part: "menu", role: "menu", "aria-label": name, popover: "manual" }, ...buttons);
  menu.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(root.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    event.stopPropagation();
    if (event.key === "Escape" || event.key === "Tab") close();
    else if (to !== undefined) buttons.at(to % buttons.length).focus();
    else return;
    event.preventDefault();
  });
  root.append(menu);
  menu.showPopover?.();
  const { left, right, top, bottom } = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const rtl = getComputedStyle(anchor).direction === "rtl";
  menu.style.left = `${Math.max(8, Math.min(rtl ? left : right - width, innerWidth - width - 8))}px`;
  menu.style.top = `${bottom + height + 8 > innerHeight ? Math.max(8, top - height - 4) : bottom + 4}px`;
  anchor.ariaExpanded = "true";
  buttons[0].focus({ preventScroll: true });
  addEventListener("pointerdown", outside, true);
  addEventListener("scroll", away, true);
}
