// What happens to a list beyond the states of its items: arrivals, whole ranges, and what comes back.

import { isAsleep, MAX_PAGE } from "./carillon-list.js";

const MAX_PAGES = 4; // read again at once

/** Let go of what is far below; scrolling brings it again. Under bundles the `end` is near, however many there are. */
export function shorten(list, end) {
  if (!list.isLoading && end.getBoundingClientRect().top > 2 * innerHeight) list.load(MAX_PAGE);
}

/** Add to a page what comes after it, for as long as it is `short()`; `read(cursor)` brings the next. */
export async function readOn(page, short, read) {
  for (let pages = 1; short() && pages < MAX_PAGES; pages++) {
    const { results, next_cursor } = await read(page.next_cursor);
    page.results.push(...results);
    page.next_cursor = next_cursor;
  }
}

/** Apply an event of the client. What a list lacks and nobody told in full is read again. */
export function apply(list, type, { range, state, items = [], ...item }) {
  if (type === "item") insert(list, item);
  if (range) applyRange(list, range, state);
  const lacking = items.filter((change) => isLacking(list, change));
  for (const change of lacking) if (change.created_at) insert(list, { ...change });
  if (lacking.some((change) => !change.created_at)) list.load();
  else list.changed();
}

/** Whether it brings back an item that belongs among those on the screen, such as one unarchived. */
function isLacking(list, change) {
  if (change.seq === undefined || list.isLoading || !list.belongs(change)) return false;
  if (list.filter === "unread" && change.read_at) return false;
  if (list.hasMore && change.seq < list.items.at(-1)?.seq) return false;
  return !list.find(change);
}

function insert(list, item) {
  const known = list.find(item);
  if (known?.seq === item.seq) return;
  list.items = list.items.filter((other) => other !== known); // it woke up, and has another place now
  if (!list.belongs(item) || (list.filter === "unread" && item.read_at)) return;
  const at = list.items.findIndex((other) => other.seq < item.seq);
  if (at === -1 && list.hasMore) return; // older than what is on the screen: its page brings it
  list.items.splice(at === -1 ? list.items.length : at, 0, item);
}

function applyRange(list, range, state) {
  for (const item of list.items) {
    if (item.seq < range.from || item.seq > range.through || item.archived_at || isAsleep(item)) continue;
    if (range.category && item.category !== range.category) continue;
    item.seen_at ??= state.seen_at;
    item.read_at ??= state.read_at;
  }
}
