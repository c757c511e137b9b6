// What has just arrived, shown for a moment in a corner: a polite live region.

import { face, h, icon } from "./carillon-rows.js";
import { strings } from "./carillon-strings.js";

const SHOWN_MS = 6000;
const MAX_TOASTS = 3;

export const toasts = () => h("div", { class: "toasts", part: "toasts", role: "status", "aria-live": "polite" });

/** Show an item until it is pressed, dismissed or old; a pointer or a focus on it makes it wait. */
export function toast(root, item, pressed) {
  let timer = 0;
  const close = () => (clearTimeout(timer), box.remove());
  const wait = () => clearTimeout(timer);
  const go = () => (wait(), (timer = setTimeout(close, SHOWN_MS)));
  const words = h("span", { class: "words" }, h("span", { class: "title", dir: "auto" }, item.title || item.body));
  if (item.title && item.body) words.append(h("span", { class: "body", dir: "auto" }, item.body));
  const main = h("button", { class: "main", type: "button", onclick: () => (close(), pressed()) }, face(item), words);
  const dismiss = h("button", { class: "act", type: "button", "aria-label": strings.dismiss, onclick: close }, icon("close"));
  const box = h("div", { class: "toast", part: "toast" }, main, dismiss);
  for (const type of ["pointerenter", "focusin"]) box.addEventListener(type, wait);
  for (const type of ["pointerleave", "focusout"]) box.addEventListener(type, go);
  box.addEventListener("keydown", (event) => event.key === "Escape" && close());
  while (root.children.length >= MAX_TOASTS) root.firstChild.remove();
  root.append(box);
  go();
}
