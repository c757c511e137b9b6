// How an item of <carillon-inbox> is drawn.

import { serverNow } from "./carillon-client.js";
import { clock, face, h, icon, label, language, safeLink, words } from "./carillon-dom.js";
import { isAsleep } from "./carillon-list.js";
import { strings } from "./carillon-strings.js";

/** A row without its state, which `paint` gives it. `follow(event)`: it was pressed; `others()`: what else can be done? */
export function drawRow(item, follow, others) {
  const href = safeLink(item.link);
  const main = href ? h("a", { class: "main", href, onclick: follow }) : h("button", { class: "main", onclick: follow });
  const more = { class: "act others", title: strings.actions, "aria-haspopup": "menu", onclick: others };
  const parts = {
    mark: h("span", { class: "hidden" }),
    time: h("time", { dateTime: item.created_at }),
    others: h("button", more, icon("dots")),
  };
  parts.acts = h("span", { class: "acts" }, parts.others);
  const meta = h("span", { class: "meta" }, label(item.category), " · ", parts.time);
  main.append(face(item), h("span", { class: "words" }, parts.mark, ...words(item), meta));
  const row = h("li", { class: "item", part: "item", onanimationend: () => row.classList.remove("arriving") }, main, parts.acts);
  row.parts = parts;
  return row;
}

export function paint(row, item, filter) {
  const { mark, time } = row.parts;
  Object.assign(row, { item, filter });
  row.classList.toggle("unread", !item.read_at);
  mark.textContent = item.read_at ? "" : `${strings.unread}: `;
  row.repaint?.();
  const moment = arrived(item);
  const words = isAsleep(item) ? strings.until(clock(new Date(item.snoozed_until))) : ago(moment);
  if (time.textContent !== words) time.textContent = words;
}

/** When it arrived; of one that woke up, when it did. */
export const arrived = (item) => new Date(item.woken_at ?? item.created_at);

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];
let relative = null;

function ago(moment) {
  relative ??= new Intl.RelativeTimeFormat(language(), { numeric: "auto", style: "short" });
  const seconds = Math.max(0, (serverNow() - moment) / 1000);
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : strings.now;
}

export function dayOf(moment, now = serverNow()) {
  const midnight = (back) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - back);
  if (moment >= midnight(0)) return "today";
  return moment >= midnight(1) ? "yesterday" : "earlier";
}
