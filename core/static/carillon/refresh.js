/* Parts of a page that are asked for again and again: <div data-refresh="/address/" data-every="3">. The answer is HTML
   and is worked into what is there, change by change: nothing flickers, what has the focus keeps it, a click in the
   middle is not lost. A <p class="cr-hint" data-stale hidden> in front of it says when that does not work. An answer with
   [data-settled] in it is the last that is asked for: nothing moves any more. */
"use strict";

for (const part of document.querySelectorAll("[data-refresh]")) {
  const stale = part.previousElementSibling?.matches("[data-stale]") ? part.previousElementSibling : null;
  const every = Number(part.dataset.every || 3) * 1000;
  let timer = 0;
  let misses = 0;
  let over = false;

  function complain(words) {
    if (!stale) return;
    stale.hidden = !words;
    stale.textContent = words;
  }

  async function ask() {
    timer = 0;
    try {
      const answer = await fetch(part.dataset.refresh, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.redirected || answer.status === 403) {
        over = true;
        complain("You are signed out, so this page stands still. Reload it to sign in.");
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = document.createElement("template");
      fresh.innerHTML = await answer.text();
      follow(part, fresh.content);
      over = part.querySelector("[data-settled]") !== null;
      misses = 0;
      complain("");
    } catch {
      misses += 1;
      if (misses > 1) complain("No connection to the server; what you see may be old. Trying again…");
    }
    later();
  }

  function later() {
    if (!timer && !over && !document.hidden) timer = setTimeout(ask, every * Math.min(1 + misses, 5));
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden && !timer && !over) ask(); });
  later();
}

/* Make the children of `old` those of `fresh`, touching only what differs. */
function follow(old, fresh) {
  const wanted = [...fresh.childNodes];
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
  wanted.forEach((next, n) => {
    const here = old.childNodes[n];
    if (!here) old.append(next);
    else if (here.nodeType !== next.nodeType || here.nodeName !== next.nodeName || here.id !== next.id) here.replaceWith(next);
    else if (here.nodeType !== Node.ELEMENT_NODE) { if (here.data !== next.data) here.data = next.data; }
    else if (!here.isEqualNode(next)) {
      for (const { name } of [...here.attributes]) if (!next.hasAttribute(name)) here.removeAttribute(name);
      for (const { name, value } of next.attributes) if (here.getAttribute(name) !== value) here.setAttribute(name, value);
      follow(here, next);
    }
  });
}
