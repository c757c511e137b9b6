// What is on the screen glides to its new place instead of jumping there, and what is new comes along with it.

import { frame } from "./carillon-dom.js";

const SLIDE = { duration: 180, easing: "ease-out" };

/** Where the rows of a list stand; undefined when nothing is to slide. */
export function topsOf(list) {
  if (document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  return new Map([...list.children].filter((node) => !node.hidden).map((node) => [node, node.offsetTop]));
}

/** Let the rows come from where they stood, but for those far below, which nobody sees; settled when they have come. */
export async function slide(list, tops) {
  const end = innerHeight - list.getBoundingClientRect().top;
  let by = 0;
  let last = null;
  for (const node of [...list.children].reverse()) {
    const top = node.offsetTop;
    if (tops.has(node)) by = tops.get(node) - top;
    if (!by || node.hidden || Math.min(top, top + by) > end) continue;
    last = node.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], SLIDE);
  }
  if (!last) return;
  const late = new Promise((done) => setTimeout(done, 5 * SLIDE.duration)); // of a page that is hidden meanwhile
  await Promise.race([last.finished.catch(() => {}), late]); // caught: a row that went away ends its own
  await frame();
}
