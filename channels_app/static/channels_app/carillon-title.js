// The number of unread items before the page's title, whoever changes that title meanwhile.

const owners = new Map();
let plain = ""; // the title as the page wants it
let ours = "";
let prefix = "";
const watcher = new MutationObserver(write);

/** Show an element's number, or take it back from one that is gone or lost its `title-badge`. */
export function titleBadge(owner, count) {
  if (owner.isConnected && owner.hasAttribute("title-badge")) owners.set(owner, count);
  else owners.delete(owner);
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
