// The editor of a message template: one language and one channel at a time, and beside them what the reader gets and
// what is wrong, asked of the server while one types. Without it all inputs stand below each other and can be saved.
"use strict";

(() => {
  const form = document.getElementById("draft");
  if (!form) return;
  const part = (name) => form.querySelector(`[data-part="${name}"]`);
  const node = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text ?? "" });
  const groups = [...form.querySelectorAll("fieldset[data-channel]")];
  const unique = (name) => [...new Set(groups.map((group) => group.dataset[name]))];
  const shown = { locale: form.dataset.default, channel: groups[0].dataset.channel };
  const reader = form.querySelector("[name=preview_locale]");
  const WAIT_MS = 350;
  let findings = [], frames = {}, isChanged = false, timer = 0, asking = null, last = null;

  /* Tabs: the language and the channel that are worked on. */
  function tabs(name, values, label) {
    const box = form.querySelector(`[data-tabs="${name}"]`);
    box.replaceChildren(...values.map((value) => {
      const button = node("button", "");
      button.type = "button";
      button.dataset.value = value;
      button.append(...label(value), node("span", "tp-count"));
      button.addEventListener("click", () => {
        shown[name] = value;
        if (name === "locale") { reader.value = value; ask(); }
        show();
      });
      return button;
    }));
    box.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = [...box.children];
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
      event.preventDefault();
    });
  }

  function count(name, value) {
    const about = findings.filter((one) => one[name] === value && (name === "locale" || one.locale === shown.locale));
    return [about.filter((one) => one.blocks).length, about.length];
  }

  function show() {
    for (const group of groups) group.hidden = group.dataset.locale !== shown.locale || group.dataset.channel !== shown.channel;
    for (const section of form.querySelectorAll("section[data-locale]")) section.hidden = section.dataset.locale !== shown.locale;
    for (const name of ["locale", "channel"]) {
      for (const button of form.querySelector(`[data-tabs="${name}"]`).children) {
        button.setAttribute("aria-pressed", String(button.dataset.value === shown[name]));
        const badge = button.querySelector(".tp-count"), [bad, all] = count(name, button.dataset.value);
        badge.hidden = !all;
        badge.textContent = bad || all;
        badge.classList.toggle("tp-mild", !bad);
        badge.title = bad ? "errors" : "worth a look";
      }
    }
    for (const frame of part("frames").children) frame.hidden = frame.dataset.channel !== shown.channel;
    form.querySelectorAll(".tp-lined").forEach(number);
  }

  /* What a field is about. */
  const field = (key) => form.querySelector(`[data-field="${CSS.escape(key)}"]`);
  const input = (key) => field(key)?.querySelector("textarea, input");

  function goTo(one) {
    if (one.locale) shown.locale = one.locale;
    if (one.channel) shown.channel = one.channel;
    form.classList.remove("tp-looking");
    show();
    const box = one.key ? input(one.key) : null;
    if (!box) return;
    box.focus();
    if (!one.line || !box.value.includes("\n")) return;
    const lines = box.value.split("\n"), start = lines.slice(0, one.line - 1).join("\n").length + (one.line > 1 ? 1 : 0);
    box.setSelectionRange(start, start + (lines[one.line - 1] ?? "").length);
    box.scrollTop = Math.max(0, (one.line - 4) * 20);
  }

  function tell() {
    form.querySelectorAll("[data-field] .tp-findings").forEach((list) => list.replaceChildren());
    for (const one of findings) {
      const list = one.key && field(one.key)?.querySelector(".tp-findings");
      if (!list) continue;
      const item = node("li", one.blocks ? "cr-field-error" : "tp-warning");
      if (one.line) {
        const line = node("button", "tp-line", `Line ${one.line}`);
        line.type = "button";
        line.addEventListener("click", () => goTo(one));
        item.append(line);
      }
      item.append(node("span", "", one.message));
      list.append(item);
    }
    const bad = findings.filter((one) => one.blocks), verdict = part("verdict");
    verdict.hidden = !findings.length && !Object.keys(frames).length;
    verdict.className = `cr-card tp-verdict ${bad.length ? "cr-red" : findings.length ? "cr-amber" : "cr-green"}`;
    const things = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
    const words = bad.length ? `${things(bad.length, "error")} to mend before it can be published`
      : findings.length ? `It can be published. ${things(findings.length, "thing")} worth a look` : "It can be published.";
    const list = node("ul", "");
    for (const one of findings.slice(0, 12)) {
      const item = node("li", ""), button = node("button", "", `${one.where || "Here"}${one.line ? `, line ${one.line}` : ""}`);
      button.type = "button";
      button.addEventListener("click", () => goTo(one));
      item.append(button, one.message);
      list.append(item);
    }
    verdict.replaceChildren(node("h3", "", words), list);
    part("status").textContent = words;
  }

  /* Line numbers beside HTML, the lines with faults marked. */
  function number(box) {
    const area = box.querySelector("textarea"), gutter = box.querySelector(".tp-gutter"), key = box.closest("[data-field]").dataset.field;
    const bad = new Map();
    for (const one of findings) if (one.key === key && one.line && !(bad.get(one.line) === "tp-bad")) bad.set(one.line, one.blocks ? "tp-bad" : "tp-odd");
    const lines = area.value.split("\n").length;
    gutter.replaceChildren(...Array.from({ length: lines }, (_, n) => node("span", bad.get(n + 1) ?? "", String(n + 1))));
    gutter.scrollTop = area.scrollTop;
    gutter.style.height = `${area.clientHeight}px`;
  }

  function line(area) {
    const box = node("div", "tp-lined"), gutter = node("div", "tp-gutter");
    gutter.setAttribute("aria-hidden", "true");
    area.replaceWith(box);
    area.setAttribute("wrap", "off");
    box.append(gutter, area);
    area.addEventListener("scroll", () => { gutter.scrollTop = area.scrollTop; });
    area.addEventListener("input", () => number(box));
    new ResizeObserver(() => number(box)).observe(area);
  }

  /* Names to put in where the caret was last. */
  function chips(names) {
    part("names").closest("section").hidden = !names.length;
    part("names").replaceChildren(...names.map((name) => {
      const button = node("button", "", `{{ ${name} }}`);
      button.type = "button";
      button.addEventListener("click", () => {
        const box = last && !last.closest("[hidden]") ? last : form.querySelector("fieldset[data-channel]:not([hidden]) textarea");
        box.focus();
        box.setRangeText(`{{ ${name} }}`, box.selectionStart, box.selectionEnd, "end");
        box.dispatchEvent(new Event("input", { bubbles: true }));
      });
      return button;
    }));
  }

  /* Only what has changed is drawn anew: a mail's frame would flicker. */
  function draw(fresh) {
    const box = part("frames");
    for (const old of [...box.children]) if (!(old.dataset.channel in fresh)) old.remove();
    for (const [channel, html] of Object.entries(fresh)) {
      if (frames[channel] === html) continue;
      const made = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
      const old = [...box.children].find((one) => one.dataset.channel === channel);
      if (old) old.replaceWith(made); else box.append(made);
      window.CarillonFrames(made);
    }
    frames = fresh;
  }

  async function ask() {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(form.dataset.live, { method: "POST", body: new FormData(form), signal: asking.signal });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const told = await answer.json();
      findings = told.findings;
      draw(told.frames);
      chips(told.names);
      part("reader").textContent = `As it reaches ${told.reader}.`;
      part("reader-error").textContent = told.reader_error;
      part("reader-error").hidden = !told.reader_error;
      tell();
      show();
    } catch (error) {
      if (error.name !== "AbortError") part("status").textContent = "The preview is away for a moment; what you write stays here.";
    }
  }

  form.addEventListener("input", (event) => {
    if (!event.target.name?.startsWith("preview_")) isChanged = true;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  form.addEventListener("focusin", (event) => { if (event.target.closest("fieldset[data-channel]") && event.target.setRangeText) last = event.target; });
  form.addEventListener("submit", () => { isChanged = false; });
  addEventListener("beforeunload", (event) => { if (isChanged) event.preventDefault(); });
  form.querySelector("[data-look]").addEventListener("click", (event) => {
    const looking = form.classList.toggle("tp-looking");
    event.currentTarget.textContent = looking ? "Write" : "Preview";
    event.currentTarget.setAttribute("aria-pressed", String(looking));
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    event.preventDefault();  // would press the form's first button, whichever line one is in
    if (event.target.name === "new_locale") form.querySelector("[name=add]").click();
  });

  const first = form.querySelector("fieldset[data-channel] .tp-findings li")?.closest("fieldset");
  if (first) Object.assign(shown, { locale: first.dataset.locale, channel: first.dataset.channel });
  form.classList.add("tp-live");
  form.querySelector(".tp-preview").hidden = false;
  form.querySelector("[data-look]").hidden = false;
  form.querySelectorAll("textarea[name$='--html']").forEach(line);
  tabs("locale", unique("locale"), (locale) => [document.createTextNode(locale === form.dataset.default ? `${locale} (default)` : locale)]);
  tabs("channel", unique("channel"), (channel) => {
    const { icon, label } = groups.find((group) => group.dataset.channel === channel).dataset;
    const symbol = node("span", "material-symbols-outlined", icon);
    symbol.setAttribute("aria-hidden", "true");
    return [symbol, document.createTextNode(label)];
  });
  reader.value = reader.value || shown.locale;
  show();
  ask();
})();
