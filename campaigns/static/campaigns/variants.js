/* How the wordings of a campaign do. They are read from the record, so they are asked for now and then, and the server
   reads anew at most every half a minute. */
"use strict";

(() => {
  const { node, number, percent } = window.Carillon;
  const root = document.getElementById("variants");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const EVERY = 15000;
  let timer = 0;
  let drawn = "";

  function note({ at, leader, is_certain: certain, metric, variants }) {
    if (!at) return "being read; this takes a moment";
    const moment = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
    const as = `people, as of ${moment} UTC`;
    if (variants.some(({ winner }) => winner)) return as;
    if (!leader) return `${as}; nobody has ${metric} yet`;
    return `${as}; ${leader} is ahead, ${certain ? "by more than chance" : "which may still be chance"}`;
  }

  const COLUMNS = [["recipients", "Recipients"], ["people", "Sent"], ["delivered", "Delivered"], ["opened", "Opened"], ["clicked", "Clicked"]];
  const decides = ({ metric }) => (metric === "opened" ? "Opened of sent" : "Clicked of sent");

  /* On a telephone each wording is a card, so a cell carries the name of its column. */
  function cell(label, className, ...children) {
    const made = node("td", className, ...children);
    made.dataset.label = label;
    return made;
  }

  function heading(scope, className, ...children) {
    const made = node("th", className, ...children);
    made.scope = scope;
    return made;
  }

  function head(figures) {
    const names = ["Wording", ...COLUMNS.map(([, label]) => label), decides(figures)];
    const made = node("tr", "", ...names.map((name) => heading("col", "", name)));
    if (figures.choose) made.append(heading("col", "", node("span", "campaign-hidden", "What can be done")));
    return made;
  }

  function row(one, figures) {
    const { leader, choose } = figures;
    const name = heading("row", "campaign-variant", node("b", "", one.label), " ", node("span", "", one.template));
    if (one.winner) name.append(node("span", "campaign-tag", "Winner"));
    else if (one.label === leader) name.append(node("span", "campaign-tag quiet", "Ahead"));
    const counts = COLUMNS.map(([key, label]) => cell(label, one[key] ? "" : "zero", number(one[key])));
    const made = node("tr", one.winner ? "winner" : "", name, ...counts,
      cell(decides(figures), "rate", percent(one.rate * one.people, one.people)));
    if (choose) {
      const link = node("a", "campaign-button small", "Choose…");
      link.href = `${choose}?${new URLSearchParams({ variant: one.label })}`;
      link.setAttribute("aria-label", `Choose ${one.label} for everybody else`);
      made.append(node("td", "act", link));
    }
    return made;
  }

  /* As it stands already it stays: what has the focus keeps it. */
  function draw(figures) {
    const text = JSON.stringify(figures);
    part("variants-note").textContent = note(figures);
    if (text === drawn) return;
    const focused = document.activeElement && root.contains(document.activeElement) ? document.activeElement.href : "";
    part("variants-head").replaceChildren(head(figures));
    part("variants-rows").replaceChildren(...figures.variants.map((one) => row(one, figures)));
    drawn = text;
    if (focused) [...root.querySelectorAll("a")].find(({ href }) => href === focused)?.focus({ preventScroll: true });
  }

  async function ask() {
    clearTimeout(timer);
    timer = setTimeout(ask, EVERY);
    if (document.hidden) return;
    try {
      const response = await fetch(root.dataset.url, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!response.ok || response.redirected) throw new Error(String(response.status));
      draw(await response.json());
    } catch {
      part("variants-note").textContent = "These figures can't be had at the moment. Trying again…";
    }
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  ask();
})();
