// How an item of <carillon-inbox> is drawn.

import { clock, face, h, icon, label, language, safeLink, words } from "./carillon-dom.js";
import { isAsleep } from "./carillon-list.js";
import { strings } from "./carillon-strings.js";

const MAX_ACTIONS = 3;

/** A row without its state, which `paint` gives it. `on`: what to do when something of it is pressed. */
export function drawRow(item, on) {
  const href = safeLink(item.link);
  const main = href ? h("a", { class: "main", href }) : h("button", { class: "main", type: "button" });
  const act = (name) => h("button", { class: `act ${name}`, type: "button", onclick: () => on[name](row) });
  const parts = {
    mark: h("span", { class: "hidden" }),
    time: h("time", { dateTime: item.created_at }),
    read: act("read"),
    snooze: act("snooze"),
    archive: act("archive"),
    others: act("others"), // the same three in a menu, where there is no room or no pointer that hovers
    more: h("button", { class: "more", type: "button", hidden: true }),
  };
  for (const opener of [parts.snooze, parts.others]) opener.setAttribute("aria-haspopup", "menu");
  name(parts.others, "dots", strings.actions);
  const meta = h("span", { class: "meta" }, h("span", {}, label(item.category)), " · ", parts.time);
  main.append(face(item), h("span", { class: "words" }, parts.mark, ...words(item), meta));
  main.addEventListener("click", (event) => on.follow(event, row));
  const acts = h("span", { class: "acts" }, parts.read, parts.snooze, parts.archive, parts.others);
  const row = h("li", { class: "item", part: "item", onanimationend: () => row.classList.remove("arriving") }, main, acts, given(item, on), parts.more);
  row.parts = parts;
  return row;
}

/** The buttons that a sender gave an item: links lead on, events are told to the page. */
function given(item, on) {
  const asked = Array.isArray(item.data?.actions) ? item.data.actions.slice(0, MAX_ACTIONS) : [];
  const buttons = asked.map((action) => {
    const href = safeLink(action.link);
    const shape = { class: `action${action.primary ? " primary" : ""}`, part: "action", onclick: (event) => on.press(event, item, action) };
    return href ? h("a", { ...shape, href }, action.label) : h("button", { ...shape, type: "button" }, action.label);
  });
  return buttons.length ? h("span", { class: "buttons" }, ...buttons) : null;
}

export function paint(row, item, filter) {
  const { mark, time, read, snooze, archive } = row.parts;
  row.item = item;
  row.classList.toggle("unread", !item.read_at);
  mark.textContent = item.read_at ? "" : `${strings.unread}: `;
  name(read, item.read_at ? "dot" : "check", item.read_at ? strings.markUnread : strings.markRead);
  const [away, asleep] = [filter === "archived", filter === "snoozed"];
  name(snooze, asleep ? "bell" : "clock", asleep ? strings.wake : strings.snooze);
  snooze.hidden = away;
  name(archive, away ? "restore" : "archive", away ? strings.unarchive : strings.archive);
  const moment = arrived(item);
  const words = isAsleep(item) ? strings.until(clock(new Date(item.snoozed_until))) : ago(moment);
  if (time.textContent !== words) time.textContent = words;
  time.title = moment.toLocaleString(language());
}

function name(button, picture, title) {
  if (button.title === title) return;
  button.title = title;
  button.setAttribute("aria-label", title);
  button.replaceChildren(icon(picture));
}

/** When it arrived; of one that woke up, when it did. */
export const arrived = (item) => new Date(item.woken_at ?? item.created_at);

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];
let relative = null;

function ago(moment) {
  relative ??= new Intl.RelativeTimeFormat(language(), { numeric: "auto", style: "short" });
  const seconds = Math.max(0, (Date.now() - moment) / 1000); // a clock that is behind does not see the future
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : strings.now;
}

/** "today", "yesterday" or "earlier". */
export function dayOf(moment, now = new Date()) {
  const midnight = (back) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - back);
  if (moment >= midnight(0)) return "today";
  return moment >= midnight(1) ? "yesterday" : "earlier";
}
