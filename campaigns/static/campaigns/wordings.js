/* What goes out, under the form of a draft: the wordings that came with the plan, one at a time. Where there are several
   a row of buttons switches between them; the one that is shown stays while somebody types. */
"use strict";

(() => {
  let shown = "";
  let drawn = "";

  function show(root, label) {
    shown = label;
    for (const wording of root.querySelectorAll(".campaign-wording")) wording.hidden = wording.dataset.label !== label;
    for (const button of root.querySelectorAll("[data-part=switch] button")) {
      button.setAttribute("aria-pressed", String(button.dataset.label === label));
    }
  }

  function button(root, { dataset: { label, template } }) {
    const made = document.createElement("button");
    made.type = "button";
    made.dataset.label = label;
    made.append(`${label} ${template}`);
    made.addEventListener("click", () => show(root, label));
    return made;
  }

  function draw(root, html) {
    if (html === drawn) return;
    drawn = html;
    const bar = root.querySelector("[data-part=switch]");
    const focused = bar.contains(document.activeElement) ? document.activeElement.dataset.label : null;
    root.querySelector("[data-part=wordings]").innerHTML = html;  // a template of the server, which escapes
    const wordings = [...root.querySelectorAll(".campaign-wording")];
    const labels = wordings.map(({ dataset }) => dataset.label);
    bar.hidden = wordings.length < 2;
    bar.replaceChildren(...(bar.hidden ? [] : wordings.map((one) => button(root, one))));
    show(root, labels.includes(shown) ? shown : labels[0]);
    if (labels.includes(focused)) bar.querySelector(`[data-label="${focused}"]`)?.focus({ preventScroll: true });
  }

  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("wordings");
    const plan = document.getElementById("plan");
    if (!root || !plan) return;
    plan.addEventListener("planned", ({ detail: { preview, errors } }) => {
      const note = root.querySelector("[data-part=reader]");
      if (preview) {
        root.hidden = false;
        note.textContent = `as ${preview.reader} gets it`;
        draw(root, preview.html);
      } else if (errors) {
        note.textContent = "as it was before; it follows once the plan above has what it needs";
      }
    });
  });
})();
