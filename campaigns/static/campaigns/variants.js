/* How the wordings of a campaign do. They are read from the record, so they are asked for now and then, and the server
   reads anew at most every half a minute. */
"use strict";

(() => {
  const { node, number, percent } = window.Carillon;
  const root = document.getElementById("variants");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const EVERY = 15000;
  let timer = 0;

  function note({ at, leader, is_certain: certain, metric, variants }) {
    if (!at) return "being read; this takes a moment";
    const moment = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
    const as = `people, as of ${moment} UTC`;
    if (variants.some(({ winner }) => winner)) return as;
    if (!leader) return `${as}; nobody has ${metric} yet`;
    return `${as}; ${leader} is ahead, ${certain ? "by more than chance" : "which may still be chance"}`;
  }

  function row(one, { leader, choose }) {
    const name = node("td", "campaign-variant", node("b", "", one.label), node("span", "", one.template));
    if (one.winner) name.append(node("span", "campaign-tag", "Winner"));
    else if (one.label === leader) name.append(node("span", "campaign-tag quiet", "Ahead"));
    const counts = ["recipients", "people", "delivered", "opened", "clicked"].map((key) =>
      node("td", one[key] ? "" : "zero", number(one[key])));
    const act = node("td");
    if (choose) {
      const link = node("a", "campaign-button small", "Choose…");
      link.href = `${choose}?${new URLSearchParams({ variant: one.label })}`;
      link.setAttribute("aria-label", `Choose ${one.label} for everybody else`);
      act.append(link);
    }
    return node("tr", one.winner ? "winner" : "", name, ...counts,
      node("td", "rate", percent(one.rate * one.people, one.people)), act);
  }

  async function ask() {
    clearTimeout(timer);
    timer = setTimeout(ask, EVERY);
    if (document.hidden) return;
    try {
      const response = await fetch(root.dataset.url, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!response.ok || response.redirected) throw new Error(String(response.status));
      const figures = await response.json();
      part("variants-note").textContent = note(figures);
      part("variants-metric").textContent = figures.metric === "opened" ? "Opened of sent" : "Clicked of sent";
      root.querySelector("tbody").replaceChildren(...figures.variants.map((one) => row(one, figures)));
    } catch {
      part("variants-note").textContent = "These figures can't be had at the moment. Trying again…";
    }
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  ask();
})();
