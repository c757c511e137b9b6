// The number of unread items before the page's title, whoever changes that title meanwhile.

const owners = new Map();
let plain = ""; // the title as the page wants it
let ours = "";
let prefix = "";
const watcher = new MutationObserver(write);

/** Show an element's number; null takes it back. */
export function titleBadge(owner, count) {
  if (count === null) owners.delete(owner);
  else owners.set(owner, count);
  watcher.disconnect();
  if (owners.size) watcher.observe(document.head, { childList: true, characterData: true, subtree: true });
  write();
}

function write() {
  const { title } = document;
  // A page that changes its title may build on what it found there.
  if (title !== ours) plain = prefix && title.startsWith(prefix) ? title.slice(prefix.length) : title;
  const count = Math.max(0, ...owners.values());
  prefix = count ? `(${count > 99 ? "99+" : count}) ` : "";
  ours = (prefix + plain).trim();
  if (title !== ours) document.title = ours;
}
