// What <carillon-inbox> is drawn with.

import { ICONS } from "./carillon-strings.js";

/** An element; strings become text, never markup. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  if (tag === "button") element.type = tag; // it submits no form
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Make `nodes` the children; those that stay where they are keep the focus. */
export function arrange(root, nodes) {
  for (const child of [...root.children]) if (!nodes.includes(child)) child.remove();
  nodes.forEach((node, index) => root.children[index] === node || root.insertBefore(node, root.children[index]));
}

export const frame = () => new Promise((next) => (document.hidden ? setTimeout(next) : requestAnimationFrame(next)));

const PATIENCE_MS = 400;

/** What is good to have, but not worth a longer wait. */
export const soon = (promise) => Promise.race([promise, new Promise((late) => setTimeout(late, PATIENCE_MS))]);

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = svg.appendChild(document.createElementNS(SVG, "path"));
  path.setAttribute("d", ICONS[name]);
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", `icon i-${name}`], ["aria-hidden", "true"]]) svg.setAttribute(key, value);
  return svg;
}

/** The server lets nothing else in; this holds even if it did. */
export const safeLink = (link) => (link && /^https?:$/.test(h("a", { href: link }).protocol) ? link : null);

export function face(item) {
  const letter = label(item.category).slice(0, 1);
  const source = item.icon.length > 16 || item.icon.startsWith("/") ? safeLink(item.icon) : null;
  const tone = [...item.category].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 6, 0);
  const disc = h("span", { class: `face tone${tone}`, "aria-hidden": "true" });
  if (source) disc.append(h("img", { src: source, alt: "", loading: "lazy", referrerPolicy: "no-referrer", onerror: () => (disc.textContent = letter) }));
  else disc.textContent = item.icon || letter;
  return disc;
}

/** Title and body, each running the way its own text runs. */
export const words = ({ title, body }) => [
  h("span", { class: "title", dir: "auto" }, title || body),
  title && body ? h("span", { class: "body", dir: "auto" }, body) : null,
];

export const label = (slug) => (slug.charAt(0).toUpperCase() + slug.slice(1)).replaceAll("-", " ");

export const language = () => document.documentElement.lang || undefined;

export const clock = (moment) => moment.toLocaleString(language(), { weekday: "short", hour: "numeric", minute: "2-digit" });
