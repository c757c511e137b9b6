// Copy buttons: data-copy names the element whose text goes to the clipboard.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = "Copied";
  } catch {
    // Without HTTPS browsers keep the clipboard closed: select the text, so that a key press copies it.
    getSelection().selectAllChildren(source);
    button.textContent = "Press Ctrl+C";
  }
});

// What scrolls is a landmark to a screen reader, and two of one name are none: the sidebar's has a name of its own. This
// listener is registered before the one that makes them scroll.
document.addEventListener("DOMContentLoaded", () => {
  const menu = document.querySelector("#nav-sidebar-apps");
  if (menu) menu.dataset.simplebarAriaLabel = "Pages";
});

// A form that asks before its changes are lost takes every field in it for its own. One that belongs to another form (its
// attribute `form`), such as one that only finds something, is none of them.
addEventListener("input", (event) => {
  const asking = event.target.closest(".warn-unsaved-form");
  if (asking && event.target.form && event.target.form !== asking) event.stopPropagation();
}, true);

// A browser leaves a field be of which it shows a part, even where most of it lies under a column that stays in place.
addEventListener("focusin", ({ target }) => {
  if (target.matches(".cr-scroll td :focus-visible")) target.scrollIntoView({ block: "nearest", inline: "nearest" });
});

// What moves: data-live names the part of this page to fetch again while somebody looks at it, until it names none.
const EVERY_MS = 2000;
setTimeout(async function again() {
  const part = document.querySelector("[data-live]")?.dataset.live;
  if (!part) return;
  try {
    const old = document.querySelector(part);
    if (!document.hidden && !old.contains(document.activeElement)) {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector(part);
      if (!fresh) return; // signed out, or gone
      if (!page.querySelector("[data-live]")) document.querySelector("[data-live]").removeAttribute("data-live");
      old.replaceWith(fresh);
    }
  } catch {
    // The server is away for a moment: the page stays as it was.
  }
  setTimeout(again, EVERY_MS);
}, EVERY_MS);
