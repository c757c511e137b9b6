/* Figures that move. Pages call Carillon.poll with an address and a function that draws what came back; the first
   drawing uses the figures that came with the page. No dependency, nothing inline, nothing from elsewhere. */
"use strict";

window.Carillon = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const whole = new Intl.NumberFormat();

  const number = (value) => whole.format(Math.round(value));
  const percent = (part, of) => (of > 0 ? `${(100 * part / of).toFixed(part === of || part === 0 ? 0 : 1)}%` : "–");

  function duration(seconds) {
    if (seconds < 1) return "under 1 s";
    if (seconds < 90) return `${Math.round(seconds)} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
    return `${Math.round(seconds / 86400)} days`;
  }

  function node(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  function shape(tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* Draw the figures in the page's JSON, then ask again and again while somebody looks. `draw` returns false to stop. */
  function poll(root, draw) {
    const every = Number(root.dataset.every || 3) * 1000;
    const stale = root.querySelector(".live-stale");
    let timer = 0;
    let misses = 0;

    function complain(message) {
      if (!stale) return;
      stale.hidden = !message;
      stale.textContent = message;
    }

    async function ask() {
      timer = 0;
      try {
        const response = await fetch(root.dataset.url, { headers: { Accept: "application/json" }, cache: "no-store" });
        const json = (response.headers.get("content-type") || "").includes("application/json");
        if (response.redirected || response.status === 403 || (response.ok && !json)) {
          complain("You are signed out, so these figures stand still. Reload the page to sign in.");
          return;
        }
        if (!response.ok) throw new Error(String(response.status));
        const figures = await response.json();
        misses = 0;
        complain("");
        if (draw(figures) === false) return;
      } catch {
        misses += 1;
        if (misses > 1) complain("No connection to the server; these figures may be old. Trying again…");
      }
      next();
    }

    function next() {
      if (!timer && !document.hidden) timer = setTimeout(ask, every * Math.min(1 + misses, 5));
    }

    document.addEventListener("visibilitychange", () => { if (!document.hidden && !timer && on) ask(); });
    const on = draw(JSON.parse(document.getElementById("snapshot").textContent)) !== false;
    if (on) next();
  }

  function tile(label, value, hint, tone) {
    return node("div", `live-tile ${tone || ""}`,
      node("div", "label", label), node("div", "value", value), node("div", "hint", hint || ""));
  }

  /* Label (text, or a node) and count with a bar each, longest first. */
  function list(target, items, empty) {
    if (!items.length) return target.replaceChildren(node("p", "live-empty", empty));
    const most = Math.max(...items.map((item) => item.count));
    const rows = items.map((item) => {
      const fill = node("i");
      fill.style.width = `${100 * item.count / most}%`;
      return node("li", "", node("span", "", item.label), node("span", "", number(item.count)), node("div", "bar", fill));
    });
    target.replaceChildren(node("ul", `live-list ${target.dataset.tone || ""}`, ...rows));
  }

  /* The top of the scale: a number whose quarters are round, too. */
  function ceiling(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    const steps = power > 1 ? [1.2, 1.6, 2, 4, 6, 8, 12] : [4, 8, 12];
    return steps.map((step) => step * power).find((top) => top >= value);
  }

  /* In UTC and by 24 hours, as every other moment that the admin shows. */
  function clock(iso, step) {
    const long = step >= 60 ? { weekday: "short" } : {};
    return new Date(iso).toLocaleString([], { ...long, hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
  }

  /* Stacked bars over time. `data` is what analytics.selectors.sent_series makes. */
  function bars(target, data, empty) {
    target.figures = data;
    if (!target.watched) {
      target.watched = new ResizeObserver(() => draw(target, target.figures, empty));
      target.watched.observe(target);
    }
    draw(target, data, empty);
  }

  function draw(target, data, empty) {
    const width = target.clientWidth, height = target.clientHeight;
    if (!width || target.matches(":hover") && target.querySelector(".live-tip")) return;
    const left = 44, bottom = 22, top = 8;
    const totals = data.minutes.map((_, n) => data.series.reduce((sum, series) => sum + series.counts[n], 0));
    const most = ceiling(Math.max(...totals, 4));
    const step = (width - left) / totals.length;
    const y = (value) => top + (height - top - bottom) * (1 - value / most);
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Messages sent over time, ${number(totals.reduce((a, b) => a + b, 0))} in ${totals.length * data.step} minutes` });
    for (let n = 0; n <= 4; n += 1) {
      const at = y(most * n / 4);
      svg.append(shape("line", { class: "grid", x1: left, x2: width, y1: at, y2: at }));
      svg.append(shape("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, short(most * n / 4)));
    }
    const every = [1, 2, 5, 10, 15, 20, 30].find((some) => some * step >= (data.step >= 60 ? 90 : 64)) || 60;
    data.minutes.forEach((minute, n) => {
      const x = left + n * step;
      const turn = Math.round(Date.parse(minute) / 60000 / data.step);  // so that labels move with their bars
      if (turn % every === 0 && x + step / 2 < width - 24 && x + step / 2 > left + 16) {
        svg.append(shape("text", { x: x + step / 2, y: height - 5, "text-anchor": "middle" }, clock(minute, data.step)));
      }
      let base = 0;
      for (const series of data.series) {
        const count = series.counts[n];
        if (!count) continue;
        const high = y(base + count), bar = Math.min(28, step - Math.min(3, step * .25));
        svg.append(shape("rect", { class: series.key, x: x + (step - bar) / 2, y: high, width: Math.max(1, bar),
          height: Math.max(.75, y(base) - high) }));
        base += count;
      }
      const hover = shape("rect", { class: "hover", x, y: top, width: step, height: height - top - bottom });
      hover.addEventListener("pointerenter", () => tip(target, data, n, x + step / 2, totals[n]));
      svg.append(hover);
    });
    svg.addEventListener("pointerleave", () => target.querySelector(".live-tip")?.remove());
    target.replaceChildren(svg);
    if (!totals.some(Boolean)) target.append(node("div", "live-empty", empty));
  }

  function short(value) {
    return value >= 1e6 ? `${value / 1e6}M` : value >= 1e4 ? `${value / 1e3}k` : number(value);
  }

  function tip(target, data, n, x, total) {
    target.querySelector(".live-tip")?.remove();
    const box = node("div", "live-tip", node("strong", "", `${clock(data.minutes[n], data.step)} UTC · ${number(total)}`));
    for (const series of data.series) {
      if (!series.counts[n]) continue;
      box.append(node("div", "", dot(series.key), `${series.label} ${number(series.counts[n])}`));
    }
    target.append(box);
    box.style.left = `${Math.max(0, Math.min(x - box.offsetWidth / 2, target.clientWidth - box.offsetWidth))}px`;
  }

  function dot(channel) {
    const made = node("span", "live-dot");
    made.dataset.channel = channel;
    return made;
  }

  function legend(target, series) {
    target.replaceChildren(...series.map((one) => node("span", "", dot(one.key), one.label)));
  }

  /* What one bar of a chart stands for. */
  const per = (step) => (step === 1 ? "per minute" : step < 60 ? `per ${step} minutes` : step === 60 ? "per hour"
    : step < 1440 ? `per ${step / 60} hours` : step === 1440 ? "per day" : "per week");

  return { poll, tile, list, bars, legend, node, dot, number, percent, duration, per };
})();
