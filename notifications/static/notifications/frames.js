// A mail's preview at the width of a desktop or of a telephone, made smaller where the page is narrower.
"use strict";

(() => {
  const fit = (sheet) => {
    const wide = sheet.dataset.width === "phone" ? 375 : 680;
    const room = sheet.clientWidth;
    if (room) sheet.style.setProperty("--scale", String(Math.min(1, room / wide)));
  };
  const watched = new ResizeObserver((entries) => entries.forEach((entry) => fit(entry.target)));
  const watch = (root) => root.querySelectorAll(".tp-sheet").forEach((sheet) => { watched.observe(sheet); fit(sheet); });

  let chosen = "desktop";  // kept while the editor draws its frames anew
  function choose(mail, width) {
    mail.querySelectorAll("[data-width]").forEach((part) => {
      if (part.matches("button")) part.setAttribute("aria-pressed", String(part.dataset.width === width));
      else part.dataset.width = width;
    });
    mail.querySelectorAll(".tp-sheet").forEach(fit);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".tp-widths button");
    if (!button) return;
    chosen = button.dataset.width;
    choose(button.closest(".tp-mail"), chosen);
  });

  window.CarillonFrames = (root) => {
    root.querySelectorAll(".tp-mail").forEach((mail) => choose(mail, chosen));
    watch(root);
  };
  watch(document);
})();
