/* The page: what is looked at stands in its address, and everything on it is asked for again while somebody looks. */
"use strict";

(() => {
  const { Feed, Chart, SENT, LATENCY, per, clock } = window.CarillonDash;
  const root = document.getElementById("dash");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const FILTERS = ["range", "since", "until", "channel", "category", "provider"];
  const SECONDS = { "15m": 5, "1h": 5, "6h": 15, "24h": 20, "7d": 60, "30d": 60 };
  const form = document.getElementById("dash-filters");
  const compares = document.getElementById("dash-compare");

  /* --- what is looked at ------------------------------------------------------------------------------------------ */

  const asked = () => new URLSearchParams(location.search);
  const question = () => {
    const kept = new URLSearchParams();
    for (const name of FILTERS) if (asked().get(name)) kept.set(name, asked().get(name));
    return kept.toString();
  };

  function look(change) {
    const next = asked();
    for (const [name, value] of Object.entries(change)) if (value) next.set(name, value); else next.delete(name);
    const words = next.toString();
    history.pushState(null, "", words ? `?${words}` : location.pathname);
    follow();
  }

  /* The controls say what the address says; then everything is asked anew. */
  function follow() {
    const range = asked().get("since") ? "" : asked().get("range") || root.dataset.range;
    for (const link of root.querySelectorAll("[data-range-name]")) {
      if (link.dataset.rangeName === range) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    const own = part("own");
    if (own) own.classList.toggle("on", !range);
    if (form) for (const name of ["channel", "category", "provider"]) form.elements[name].value = asked().get(name) || "";
    const used = ["channel", "category", "provider"].filter((name) => asked().get(name)).length;
    const clear = part("clear");
    if (clear) clear.hidden = !used;
    const badge = part("used");
    if (badge) { badge.hidden = !used; badge.textContent = used; }
    if (compares) compares.checked = asked().get("compare") !== "0";
    root.dataset.looking = "new";
    spans.forEach((feed) => feed.ask());
  }

  const compare = () => asked().get("compare") !== "0";
  const every = () => {
    if (asked().get("since")) return asked().get("until") ? 0 : 30;
    return SECONDS[asked().get("range") || root.dataset.range] || 30;
  };

  /* --- how it is going -------------------------------------------------------------------------------------------- */

  const health = new Map();
  const tell = (name) => (news) => {
    health.set(name, { ...health.get(name), ...news, ok: news.ok, words: news.words || "", over: news.over });
    status();
  };

  function status() {
    const all = [...health.entries()], bad = all.filter(([, one]) => !one.ok);
    const latest = Math.max(...all.map(([, one]) => one.at || 0));
    const age = latest ? Math.round((Date.now() - latest) / 1000) : null;
    const over = bad.some(([, one]) => one.over), paused = feeds.some((feed) => feed.paused);
    const state = over ? "out" : bad.length ? "stale" : paused ? "paused" : latest ? "live" : "first";
    root.dataset.state = state;
    part("state").textContent = { out: "Signed out", stale: "Not live", paused: "Paused", live: "Live", first: "Asking…" }[state];
    part("age").textContent = age === null ? "" : age < 2 ? "just now" : age < 90 ? `${age} s ago` : `${Math.round(age / 60)} min ago`;
    const words = [...new Set(bad.map(([, one]) => one.words))];
    const banner = part("banner");
    banner.hidden = !words.length;
    const since = latest && bad.length ? ` What you see is from ${new Date(latest).toLocaleTimeString("en-GB", { timeZone: "UTC" })} UTC.` : "";
    const said = words.join(" ") + (words.length && !words.some((one) => /span|range|channel|written|provider of/.test(one)) ? since : "");
    if (banner.textContent !== said) banner.textContent = said;
  }

  /* --- feeds ------------------------------------------------------------------------------------------------------ */

  const sent = part("sent") && new Chart(part("sent"), SENT);
  const latency = part("latency") && new Chart(part("latency"), LATENCY);
  let figures = null, charts = null;

  function drawSpan() {
    if (figures) window.CarillonDash.figures(figures, charts, compare());
    if (!charts) return;
    const data = { ...charts, compare: compare() };
    sent?.draw(data);
    latency?.draw(data);
    const words = part("per");
    if (words) words.textContent = per(charts.step);
  }

  function spanWords(span) {
    const place = part("span");
    if (!place) return;
    const since = Date.parse(span.since) / 1000, until = Date.parse(span.until) / 1000, day = span.length > 86400 ? 3600 : 60;
    place.textContent = `${clock(since, day)} – ${span.live ? "now" : clock(until, day)} UTC`;
  }

  const of = (name) => () => `${root.dataset[name]}?${question()}`;
  const live = new Feed({ address: () => root.dataset.live, every: () => Number(root.dataset.every), draw: window.CarillonDash.now, tell: tell("live") });
  const spans = [
    new Feed({ address: of("figures"), every, tell: tell("figures"), draw: (got) => { figures = got; root.dataset.looking = ""; spanWords(got.span); drawSpan(); } }),
    new Feed({ address: of("charts"), every, tell: tell("charts"), draw: (got) => { charts = got; drawSpan(); } }),
    ...(part("campaigns") ? [new Feed({ address: of("tops"), every: () => every() && Math.max(15, every()), tell: tell("tops"), draw: window.CarillonDash.tops })] : []),
  ];
  const feeds = [live, ...spans];

  /* --- what a person does ----------------------------------------------------------------------------------------- */

  root.addEventListener("click", (event) => {
    const link = event.target.closest("[data-range-name]");
    if (link && !event.metaKey && !event.ctrlKey) {
      event.preventDefault();
      look({ range: link.dataset.rangeName === root.dataset.range ? "" : link.dataset.rangeName, since: "", until: "" });
    }
    if (event.target.closest("[data-part=clear]")) look({ channel: "", category: "", provider: "" });
    if (event.target.closest("[data-part=pause]")) pause();
    const finding = event.target.closest(".dash-findings a[href^='#']");
    if (finding) {
      const place = document.getElementById(finding.getAttribute("href").slice(1));
      if (place) { place.classList.remove("dash-shown"); void place.offsetWidth; place.classList.add("dash-shown"); }
    }
  });

  function pause() {
    const paused = !live.paused;
    feeds.forEach((feed) => feed.pause(paused));
    const button = part("pause");
    button.setAttribute("aria-pressed", paused);
    button.querySelector(".material-symbols-outlined").textContent = paused ? "play_arrow" : "pause";
    button.title = paused ? "Go on (P)" : "Hold these figures still (P)";
    status();
  }

  form?.addEventListener("change", (event) => {
    if (["channel", "category", "provider"].includes(event.target.name)) look({ [event.target.name]: event.target.value });
  });
  compares?.addEventListener("change", () => {
    const next = asked();
    if (compares.checked) next.delete("compare"); else next.set("compare", "0");
    history.replaceState(null, "", next.toString() ? `?${next}` : location.pathname);
    drawSpan();
  });
  document.getElementById("dash-own")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const { since, until } = event.target.elements;
    look({ range: "", since: since.value, until: until.value });
    part("own").open = false;
  });
  root.addEventListener("span", ({ detail: { since, until } }) => {
    const text = (unix) => new Date(unix * 1000).toISOString().slice(0, 16);
    look({ range: "", since: text(since), until: text(until) });
  });
  addEventListener("popstate", follow);
  addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || event.metaKey || event.ctrlKey || event.altKey) return;
    const ranges = [...root.querySelectorAll("[data-range-name]")];
    if (/^[1-9]$/.test(event.key) && ranges[event.key - 1]) ranges[event.key - 1].click();
    if (event.key === "p" && part("pause")) pause();
    if (event.key === "w" && part("wall")) location.href = part("wall").href;
    if (event.key === "f") toggleFullScreen();
  });

  function toggleFullScreen() {
    if (!part("clock")) return;
    if (document.fullscreenElement) document.exitFullscreen(); else document.documentElement.requestFullscreen?.();
  }

  setInterval(() => {
    status();
    const face = part("clock");
    if (face) face.textContent = new Date().toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  }, 1000);
  live.ask();
  follow();
})();
