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
