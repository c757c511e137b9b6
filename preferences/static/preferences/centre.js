// Each choice is saved as it is made: the page's own forms, sent one choice at a time. The answer is the page as it now
// is; what differs is worked into it (`follow` of refresh.js), so the server is always right and nothing flickers.

const notice = document.querySelector("#notice");
let waiting = Promise.resolve();
let underWay = 0; // choices that are not answered yet
let problem = ""; // what was refused of them
let next = ""; // the address they turned to meanwhile

function say(words) {
  const line = document.createElement("p");
  line.className = "notice";
  line.append(Object.assign(document.createElement("span"), { textContent: words }));
  notice.replaceChildren(line);
}

// What a switch and a list show after somebody touched them is no attribute any more: back to what the page says.
function settle() {
  for (const box of document.querySelectorAll("#centre .switch")) box.checked = box.hasAttribute("checked");
  for (const option of document.querySelectorAll("#centre option")) option.selected = option.hasAttribute("selected");
  for (const field of document.querySelectorAll("#centre :is(input[type=time], input[type=email], input[type=tel])")) field.value = field.getAttribute("value") ?? "";
  suggestZone();
}

// A field of each form is called "action", so its address is asked of the attribute.
async function save(form, fields) {
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(fields), headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("#centre");
    if (!fresh) return location.reload(); // signed out, or the link has run out: what is said there says why
    if (!answer.ok) problem = fresh.querySelector(".fault")?.textContent ?? "This could not be saved."; // before its parts move into the page
    fresh.querySelector(".history")?.toggleAttribute("open", document.querySelector(".history")?.open ?? false);
    follow(document.querySelector("#centre"), fresh);
    if (!next) follow(notice, page.querySelector("#notice"));
    if (fields.get("action") === "phone" && answer.ok) document.querySelector("#code")?.focus();
  } catch {
    problem = "This could not be saved. Is there a connection?";
  }
  underWay -= 1;
  if (!underWay) finish();
}

// The last answer shows all of them. Who turned elsewhere meanwhile goes there now, or stays and reads what was refused.
function finish() {
  settle();
  if (problem) say(problem);
  else if (next) location.assign(next);
  problem = next = "";
}

function queue(form, fields) {
  underWay += 1;
  waiting = waiting.then(() => save(form, fields));
}

// Choices go one after the other: leaving now would lose those that have not gone yet.
function turn(event, address) {
  if (!underWay) return;
  event.preventDefault();
  next = address;
  say("Saving…");
}

addEventListener("click", (event) => {
  const link = event.target.closest("#centre a");
  if (link && !(event.ctrlKey || event.metaKey || event.shiftKey)) turn(event, link.href);
});

addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches(".find")) turn(event, `${form.action}?${new URLSearchParams(new FormData(form))}`);
  if (!form.matches("[data-saves]")) return;
  event.preventDefault();
  queue(form, new FormData(form));
});

addEventListener("change", ({ target }) => {
  const form = target.closest("[data-saves]");
  if (!form) return;
  if (form.dataset.saves === "whole") return; // two times make one choice: its button sends them
  if (!target.matches(".switch")) return form.requestSubmit();
  const fields = new FormData(form);
  fields.delete("shown");
  fields.delete("on");
  // As the server last said, turned around: whoever switches on and off again before an answer comes sends both.
  fields.append("shown", `${target.value}:${target.checked ? 0 : 1}`);
  if (target.checked) fields.append("on", target.value);
  queue(form, fields);
});

// The browser knows where it is; it is offered and not taken.
function suggestZone() {
  const list = document.querySelector("#timezone");
  const hint = document.querySelector("#zone-hint");
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const option = [...(list?.options ?? [])].find(({ value }) => value === here);
  if (!option || list.value === here) return;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: `Use ${option.textContent}` });
  button.addEventListener("click", () => {
    list.value = here;
    list.form.requestSubmit();
    list.focus();
  });
  hint.replaceChildren(button, ", as your browser is set to.");
}
suggestZone();
