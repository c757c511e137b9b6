// How an item of <carillon-inbox> is drawn: text only, and links that lead where a link may lead.

import { isAsleep } from "./carillon-list.js";
import { ICONS, strings } from "./carillon-strings.js";

export function paint(row, filter) {
  const { item, parts } = row;
  row.classList.toggle("unread", !item.read_at);
  parts.mark.textContent = item.read_at ? "" : `${strings.unread}: `;
  button(parts.read, item.read_at ? "dot" : "check", item.read_at ? strings.markUnread : strings.markRead);
  const away = filter === "archived";
  button(parts.snooze, item.snoozed_until && filter === "snoozed" ? "bell" : "clock", filter === "snoozed" ? strings.wake : strings.snooze);
  parts.snooze.hidden = away;
  button(parts.archive, away ? "restore" : "archive", away ? strings.unarchive : strings.archive);
  paintTime(row);
}

/** When it arrived; of one that woke up, when it did. */
export const arrived = (item) => new Date(item.woken_at ?? item.created_at);

export function paintTime({ item, parts }) {
  const made = arrived(item);
  if (isAsleep(item)) {
    const until = new Date(item.snoozed_until).toLocaleString(language(), { weekday: "short", hour: "numeric", minute: "2-digit" });
    parts.time.textContent = strings.until(until);
    return;
  }
  parts.time.textContent = ago(made);
  parts.time.title = made.toLocaleString();
}

function button(element, name, title) {
  if (element.title === title) return;
  element.title = title;
  element.setAttribute("aria-label", title);
  element.replaceChildren(icon(name));
}

/** The sender's icon, or the category's first letter. */
export function face(item) {
  const source = item.icon.length > 16 || item.icon.startsWith("/") ? safeLink(item.icon) : null;
  const hue = [...item.category].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 6, 0);
  const disc = h("span", { class: `face tone${hue}`, "aria-hidden": "true" });
  if (source) {
    const image = h("img", { src: source, alt: "", loading: "lazy", referrerPolicy: "no-referrer" });
    image.addEventListener("error", () => (disc.textContent = label(item.category).slice(0, 1)));
    disc.append(image);
  } else disc.textContent = item.icon || label(item.category).slice(0, 1);
  return disc;
}

export const label = (slug) => (slug.charAt(0).toUpperCase() + slug.slice(1)).replaceAll("-", " ");

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];
let relative = null;
const language = () => document.documentElement.lang || undefined;

export function ago(moment) {
  relative ??= new Intl.RelativeTimeFormat(language(), { numeric: "auto", style: "short" });
  const seconds = Math.max(0, (Date.now() - moment) / 1000); // a clock that is behind does not see the future
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : strings.now;
}

/** The server lets nothing else in; this holds even if it did. */
export function safeLink(link) {
  if (!link) return null;
  try {
    return ["http:", "https:"].includes(new URL(link, location.href).protocol) ? link : null;
  } catch {
    return null;
  }
}

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name === "class" ? "class" : name, value);
  }
  element.append(...children.filter((child) => child !== null)); // strings become text nodes, never markup
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** The buttons that a sender gave an item: links lead on, events are told to the page. */
export function actions(item, pressed) {
  const given = Array.isArray(item.data?.actions) ? item.data.actions.slice(0, 3) : [];
  const buttons = given.map((action) => {
    const href = safeLink(action.link);
    const shape = { class: `action${action.primary ? " primary" : ""}`, part: "action", onclick: (event) => pressed(event, action) };
    return href ? h("a", { ...shape, href }, action.label) : h("button", { ...shape, type: "button" }, action.label);
  });
  return buttons.length ? h("span", { class: "buttons" }, ...buttons) : null;
}

/** "today", "yesterday" or "earlier". */
export function dayOf(moment, now = new Date()) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  if (moment >= midnight) return "today";
  return moment >= new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1) ? "yesterday" : "earlier";
}
