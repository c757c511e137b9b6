// What a sender may add to an item: buttons, and a group that folds under its newest item.

import { h, safeLink } from "./carillon-dom.js";
import { strings } from "./carillon-strings.js";

const MAX_ACTIONS = 3;
const words = { more: (count) => `${count} more like this`, less: "Show less", ...strings };

/** Give a row its sender's buttons, once: links lead on, events are told to the page. `press(event, action)`: one was pressed. */
export function drawButtons(row, press) {
  if (row.asked) return;
  const { data } = row.item;
  row.asked = true;
  const asked = Array.isArray(data?.actions) ? data.actions.slice(0, MAX_ACTIONS) : [];
  if (!asked.length) return;
  const button = (action) => {
    const href = safeLink(action.link);
    const shape = { class: `action${action.primary ? " primary" : ""}`, part: "action", onclick: (event) => press(event, action) };
    return href ? h("a", { ...shape, href }, action.label) : h("button", shape, action.label);
  };
  row.append(h("span", { class: "buttons" }, ...asked.map(button)));
}

/**
 * Of one group and day the newest stands for all, until it is unfolded. `nodes`: rows, and the days between them;
 * `unfolded`: the bundles that are, kept for the next time; `draw()` after a press.
 */
export function fold(nodes, unfolded, draw) {
  const bundles = new Map();
  let day = null;
  for (const node of nodes) {
    if (!node.item) {
      day = node.textContent;
      continue;
    }
    const { id, category, data } = node.item;
    const key = typeof data?.group === "string" && data.group ? JSON.stringify([day, category, data.group]) : id;
    if (bundles.has(key)) bundles.get(key).push(node);
    else bundles.set(key, [node]);
  }
  for (const [key, [first, ...others]] of bundles) {
    const open = unfolded.has(key);
    const press = () => (unfolded.delete(key) || unfolded.add(key), draw());
    first.hidden = false;
    if (first.more) first.more.hidden = !others.length;
    if (others.length) showMore(first, open ? words.less : words.more(others.length), open, press);
    for (const row of others) {
      row.hidden = !open;
      if (row.more) row.more.hidden = true;
    }
  }
}

function showMore(row, text, open, press) {
  if (!row.more) row.append((row.more = h("button", { class: "more" })));
  Object.assign(row.more, { textContent: text, ariaExpanded: String(open), onclick: press });
}
