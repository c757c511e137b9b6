/* What the dashboard's parts share: words for numbers, elements, and questions asked again and again. No dependency,
   nothing inline, nothing from elsewhere. Each file adds to window.CarillonDash. */
"use strict";

window.CarillonDash = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const whole = new Intl.NumberFormat("en");

  /* --- words ------------------------------------------------------------------------------------------------------ */

  const number = (value) => (value === null || value === undefined ? "?" : whole.format(Math.round(value)));

  /* Short enough for a tile: 123,456 · 1.2M. The exact figure is its title. */
  function short(value) {
    if (value === null || value === undefined) return "?";
    if (value < 1e6) return number(value);
    return tiny(value);
  }

  /* Shorter still, for a column on a telephone: 950 · 12.3k · 1.2M. */
  function tiny(value) {
    if (value === null || value === undefined) return "?";
    if (value < 1e4) return number(value);
    const [unit, sign] = value >= 1e9 ? [1e9, "B"] : value >= 1e6 ? [1e6, "M"] : [1e3, "k"];
    const scaled = value / unit;
    return `${scaled >= 100 ? Math.floor(scaled) : Math.floor(scaled * 10) / 10}${sign}`;
  }

  /* Rounded down, so that 100% means all of them. */
  function percent(share) {
    if (share === null || share === undefined) return "–";
    if (share === 0 || share === 1) return `${share * 100}%`;
    return share < 0.001 ? "<0.1%" : `${(Math.floor(share * 1000) / 10).toFixed(1)}%`;
  }

  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 90) return `${Math.round(seconds)} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
    return `${Math.round(seconds / 86400)} days`;
  }

  /* A moment in UTC and by 24 hours, as every other moment that the admin shows. */
  function clock(unix, step) {
    const options = step >= 86400 ? { day: "numeric", month: "short" }
      : step >= 3600 ? { weekday: "short", day: "numeric", hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit" };
    return new Date(unix * 1000).toLocaleString("en-GB", { ...options, hourCycle: "h23", timeZone: "UTC" });
  }

  /* What one step of a chart stands for. */
  function per(step) {
    const unit = (size, word) => (step === size ? `per ${word}` : `per ${step / size} ${word}s`);
    return step < 3600 ? unit(60, "minute") : step < 86400 ? unit(3600, "hour") : unit(86400, "day");
  }

  /* --- elements --------------------------------------------------------------------------------------------------- */

  /* el("a.dash-x", { href }, "text", child, ...): false, null and "" are left out; `style` is an object of properties. */
  function el(what, attributes, ...children) {
    const [tag, ...classes] = what.split(".");
    const made = tag === "svg" || tag === "path" || tag === "circle" ? document.createElementNS(SVG, tag) : document.createElement(tag || "div");
    if (classes.length) made.setAttribute("class", classes.join(" "));
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === false || value === null || value === undefined) continue;
      if (name === "style") for (const [property, wanted] of Object.entries(value)) made.style.setProperty(property, wanted);
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
    return made;
  }

  /* A number that leads to what is behind it, where the reader may look. */
  function linked(url, what, label) {
    return url ? el("a.dash-link", { href: url, "aria-label": label }, what) : what;
  }

  /* Make the children of `old` those of `wanted`, touching only what differs: nothing flickers, the focus stays. */
  function morph(old, ...wanted) {
    const nodes = wanted.flat().filter((one) => one !== null && one !== undefined && one !== false)
      .map((one) => (one instanceof Node ? one : document.createTextNode(one)));
    while (old.childNodes.length > nodes.length) old.lastChild.remove();
    nodes.forEach((next, n) => {
      const here = old.childNodes[n];
      if (!here) old.append(next);
      else if (here.nodeType !== next.nodeType || here.nodeName !== next.nodeName) here.replaceWith(next);
      else if (here.nodeType !== Node.ELEMENT_NODE) { if (here.data !== next.data) here.data = next.data; }
      else if (!here.isEqualNode(next)) {
        for (const { name } of [...here.attributes]) if (!next.hasAttribute(name) && name !== "open") here.removeAttribute(name);
        for (const { name, value } of next.attributes) {
          if (name === "style") here.style.cssText = next.style.cssText;
          else if (here.getAttribute(name) !== value) here.setAttribute(name, value);
        }
        morph(here, ...next.childNodes);
      }
    });
  }

  const icon = (name) => el("span.material-symbols-outlined", { "aria-hidden": "true" }, name);

  /* A small line of the values, without a scale: which way it goes. null is a gap. */
  function sparkline(values, tone) {
    const width = 100, height = 26, known = values.filter((value) => value !== null);
    const most = Math.max(...known, 0), least = Math.min(...known, most);
    if (known.length < 2) return el("svg.dash-spark", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const low = least > most * 0.5 ? least - (most - least || 1) * 0.35 : 0;
    const runs = [];  // stretches without a gap
    values.forEach((value, n) => {
      if (value === null) return;
      const x = width * n / (values.length - 1), y = 2 + (height - 4) * (1 - (value - low) / (most - low || 1));
      if (n === 0 || values[n - 1] === null) runs.push([]);
      runs.at(-1).push([x.toFixed(1), y.toFixed(1)]);
    });
    const lines = runs.map((run) => `M${run.map((point) => point.join(" ")).join("L")}`);
    const areas = runs.map((run, n) => `${lines[n]}L${run.at(-1)[0]} ${height}L${run[0][0]} ${height}Z`);
    return el("svg.dash-spark", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "data-tone": tone, "aria-hidden": "true" },
      el("path.area", { d: areas.join("") }), el("path.line", { d: lines.join(""), "vector-effect": "non-scaling-stroke" }));
  }

  /* How a count compares with the period before, by what came in a second. `good`: which way is good, 1, -1 or 0. */
  function change(now, before, span, good) {
    if (!span || !(span.elapsed > 0) || (!now && !before)) return null;
    const rate = now / span.elapsed, earlier = before / span.length;
    const told = `${number(before)} in the period before`;
    if (!before) return span.first ? null : el("span.dash-change", { title: told }, "new");
    const ratio = rate / earlier - 1;
    if (Math.abs(ratio) < 0.01) return el("span.dash-change", { title: told }, "same");
    const words = ratio > 9 ? `×${Math.round(ratio + 1)}` : `${Math.abs(ratio * 100).toFixed(0)}%`;
    return trend(ratio, words, told, Math.abs(ratio) > 0.1 ? good : 0);
  }

  function trend(ratio, words, told, good) {
    const tone = !good ? "none" : ratio * good > 0 ? "good" : "bad";
    return el("span.dash-change", { "data-tone": tone, title: told },
      el("span", { "aria-hidden": "true" }, ratio > 0 ? "▲ " : "▼ "), el("span.dash-unseen", {}, ratio > 0 ? "up " : "down "), words);
  }

  /* --- asking ----------------------------------------------------------------------------------------------------- */

  /* Asks an address again and again while somebody looks. `tell` hears how it went: {ok, words, at}. */
  class Feed {
    constructor({ address, every, draw, tell }) {
      Object.assign(this, { address, every, draw, tell, misses: 0, timer: 0, over: false, paused: false, turn: 0 });
      document.addEventListener("visibilitychange", () => { if (!document.hidden && !this.timer) this.ask(); });
    }

    /* Now, whatever was being asked before: its answer comes too late. */
    ask() {
      clearTimeout(this.timer);
      this.timer = 0;
      if (this.over) return Promise.resolve();
      this.turn += 1;
      return this.fetch(this.turn);
    }

    async fetch(turn) {
      try {
        const answer = await fetch(this.address(), { headers: { Accept: "application/json" }, cache: "no-store" });
        if (turn !== this.turn) return;
        const json = (answer.headers.get("content-type") || "").includes("application/json");
        if (answer.redirected || answer.status === 403 || (answer.ok && !json)) {
          this.over = true;
          this.tell({ ok: false, over: true, words: "You are signed out, so these figures stand still. Reload the page to sign in." });
          return;
        }
        const figures = json ? await answer.json() : {};
        if (turn !== this.turn) return;
        if (answer.ok) {
          this.misses = 0;
          this.draw(figures);
          this.tell({ ok: true, at: Date.now() });
        } else {
          this.misses += 1;
          this.tell({ ok: false, words: figures.problem || "The server could not answer. Trying again…" });
        }
      } catch (error) {
        if (turn !== this.turn) return;
        if (!(error instanceof TypeError)) console.error(error);  // a TypeError is fetch's word for no connection
        this.misses += 1;
        if (this.misses > 1) this.tell({ ok: false, words: "No connection to the server. Trying again…" });
      }
      this.next();
    }

    next() {
      const every = this.every();
      if (every && !this.timer && !this.over && !this.paused && !document.hidden) {
        this.timer = setTimeout(() => this.ask(), every * 1000 * Math.min(1 + this.misses, 5));
      }
    }

    pause(paused) {
      this.paused = paused;
      clearTimeout(this.timer);
      this.timer = 0;
      if (!paused) this.ask();
    }
  }

  return { number, short, tiny, percent, duration, clock, per, el, linked, morph, icon, sparkline, change, trend, Feed };
})();
