// What has just arrived, shown for a moment in a corner.

import { face, h, icon, words } from "./carillon-dom.js";
import { strings } from "./carillon-strings.js";

const SHOWN_MS = 6000;
const MAX_TOASTS = 3;

/** Show an item until it is pressed, dismissed or old; a pointer or a focus on it makes it wait. */
export function toast(root, item, pressed) {
  let timer = 0;
  const close = () => (clearTimeout(timer), box.remove());
  const wait = () => clearTimeout(timer);
  const go = () => (wait(), (timer = setTimeout(close, SHOWN_MS)));
  const main = h("button", { class: "main", type: "button", onclick: () => (close(), pressed()) }, face(item), h("span", { class: "words" }, ...words(item)));
  const dismiss = h("button", { class: "act", type: "button", "aria-label": strings.dismiss, onclick: close }, icon("close"));
  const box = h("div", { class: "toast", part: "toast" }, main, dismiss);
  for (const type of ["pointerenter", "focusin"]) box.addEventListener(type, wait);
  for (const type of ["pointerleave", "focusout"]) box.addEventListener(type, go);
  box.addEventListener("keydown", (event) => event.key === "Escape" && close());
  while (root.children.length >= MAX_TOASTS) root.firstChild.remove();
  root.append(box);
  go();
}
