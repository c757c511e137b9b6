/* The two charts, drawn by uPlot: bars of what was sent, stacked by channel, and lines of how long it took. Both can be
   read with the arrow keys and as a table; dragging over a stretch of time looks at that stretch alone. */
"use strict";

(() => {
  const { el, morph, short, number, duration, clock, per } = window.CarillonDash;
  const FONT = (node) => `${Math.max(11, Math.round(parseFloat(getComputedStyle(node).fontSize) * 0.78))}px Inter, system-ui, sans-serif`;
  const HEIGHT = 250;

  const color = (node, name) => getComputedStyle(node).getPropertyValue(`--${name}`).trim();

  /* The top of a scale whose quarters are round numbers. */
  function ceiling(value) {
    const power = 10 ** Math.floor(Math.log10(Math.max(value, 4)));
    return [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10, 12].map((step) => step * power).find((top) => top >= value && top % 4 === 0)
      || 4 * Math.ceil(value / 4);
  }

  class Chart {
    constructor(root, kind) {
      this.root = root;
      this.kind = kind;
      this.plot = null;
      this.data = null;
      this.tip = el("div.dash-tip", { hidden: true });
      this.table = root.parentElement.querySelector("[data-table]");
      root.tabIndex = 0;
      root.setAttribute("role", "group");
      root.addEventListener("keydown", (event) => this.key(event));
      root.addEventListener("blur", () => this.leave());
      new ResizeObserver(() => this.size()).observe(root);
      new MutationObserver(() => this.plot?.redraw(false)).observe(document.documentElement, { attributeFilter: ["class"] });
    }

    height() { return Math.max(120, this.root.clientHeight || HEIGHT); }

    size() { if (this.plot && this.root.clientWidth) this.plot.setSize({ width: this.root.clientWidth, height: this.height() }); }

    draw(data) {
      this.data = data;
      if (!this.root.clientWidth) return;
      const values = this.kind.values(data);
      const middles = data.at.map((at) => at + data.step / 2);
      if (!this.plot) {
        this.plot = new uPlot(this.options(values.length), [middles, ...values], this.root);
        this.plot.over.append(this.tip);
      } else this.plot.setData([middles, ...values]);
      this.root.setAttribute("aria-label", this.kind.summary(data));
      if (this.table) this.tabulate();
    }

    options(lines) {
      const node = this.root;
      const axis = { stroke: () => color(node, "quiet"), font: FONT(node), ticks: { show: false }, gap: 6 };
      return {
        width: node.clientWidth, height: this.height(), padding: [10, 6, 0, 0], legend: { show: false },
        tzDate: (unix) => uPlot.tzDate(new Date(unix * 1000), "Etc/UTC"),
        cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false }, sync: { key: "dash" } },
        select: { show: true, left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: { time: true, range: () => [this.data.at[0], this.data.at.at(-1) + this.data.step] },
          y: this.kind.scale(this),
        },
        axes: [
          { ...axis, size: 26, grid: { show: false }, space: 72, values: (_, splits) => splits.map((at) => clock(at, this.coarse())) },
          { ...axis, size: Math.ceil(4.4 * parseFloat(axis.font)), grid: { stroke: () => color(node, "line"), width: 1 }, ...this.kind.axis(this) },
        ],
        series: [{}, ...Array.from({ length: lines }, () => ({ paths: () => null, points: { show: false } }))],
        hooks: {
          drawClear: [],
          draw: [(plot) => this.kind.paint(plot, this.data, (name) => color(node, name))],
          setCursor: [(plot) => this.point(plot)],
          setSelect: [(plot) => this.select(plot)],
        },
      };
    }

    /* How coarse a label of the time axis may be: by the day from a few days on. */
    coarse() {
      const long = this.data.at.length * this.data.step;
      return long > 4 * 86400 ? 86400 : long > 86400 ? 3600 : 60;
    }

    point(plot) {
      const { idx, left } = plot.cursor;
      if (idx === null || idx === undefined || left < 0) { this.tip.hidden = true; return; }
      const until = this.data.at[idx] + this.data.step;
      const running = idx === this.data.at.length - 1 && this.data.partial < 1 ? " · so far" : "";
      morph(this.tip,
        el("strong", {}, `${clock(this.data.at[idx], this.data.step)}${this.data.step < 86400 ? `–${clock(until, 60)} UTC` : " UTC"}${running}`),
        this.kind.rows(this.data, idx).map(([key, label, value]) =>
          el("div", {}, el("span.dash-dot", { "data-key": key }), el("span", {}, label), el("b", {}, value))));
      this.tip.hidden = false;
      const room = plot.over.clientWidth - this.tip.offsetWidth, beside = left + 14;
      this.tip.style.left = `${Math.max(0, beside > room ? left - this.tip.offsetWidth - 14 : beside)}px`;
    }

    select(plot) {
      const { left, width } = plot.select;
      if (width < 8) return;
      const [from, to] = [left, left + width].map((x) => plot.posToVal(x, "x"));
      plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      const since = Math.floor(from / 60) * 60, until = Math.ceil(to / 60) * 60;
      this.root.dispatchEvent(new CustomEvent("span", { bubbles: true, detail: { since, until } }));
    }

    key(event) {
      if (!this.plot || !["ArrowLeft", "ArrowRight", "Home", "End", "Escape"].includes(event.key)) return;
      event.preventDefault();
      if (event.key === "Escape") return this.leave();
      const last = this.data.at.length - 1, now = this.plot.cursor.left >= 0 ? this.plot.cursor.idx : null;
      const next = event.key === "Home" ? 0 : event.key === "End" || now === null ? last : now + (event.key === "ArrowLeft" ? -1 : 1);
      const at = Math.min(last, Math.max(0, next));
      this.plot.setCursor({ left: this.plot.valToPos(this.data.at[at] + this.data.step / 2, "x"), top: 10 });
      const said = this.root.parentElement.querySelector("[data-said]");
      if (said) said.textContent = this.tip.innerText;
    }

    leave() {
      this.plot?.setCursor({ left: -10, top: -10 });
      this.tip.hidden = true;
    }

    tabulate() {
      const names = this.kind.rows(this.data, 0, true).map(([, label]) => label);
      morph(this.table,
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "From (UTC)"), names.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, this.data.at.map((at, n) => el("tr", {}, el("th", { scope: "row" }, clock(at, Math.max(3600, this.data.step))),
          this.kind.rows(this.data, n, true).map(([, , value]) => el("td", {}, value)))).reverse()));
    }
  }

  const total = (data, n) => data.sent.reduce((sum, series) => sum + series.values[n], 0);

  /* Bars of what was sent, stacked by channel; a dashed line for the period before. */
  const SENT = {
    values: (data) => [data.at.map((_, n) => Math.max(total(data, n), data.compare ? data.before[n] : 0))],
    scale: () => ({ range: (_, least, most) => [0, ceiling(most || 4)] }),
    axis: () => ({ values: (_, splits) => splits.map(short), splits: (_, __, least, most) => [0, 1, 2, 3, 4].map((n) => most * n / 4) }),
    summary: (data) => `Messages sent ${per(data.step)}: ${number(data.at.reduce((sum, _, n) => sum + total(data, n), 0))} in all, `
      + `${data.sent.map((series) => `${series.label} ${number(series.values.reduce((a, b) => a + b, 0))}`).join(", ")}. Arrow keys read step by step.`,
    rows: (data, n, all) => [
      ...data.sent.filter((series) => all || series.values[n]).map((series) => [series.key, series.label, number(series.values[n])]),
      ["", "Together", number(total(data, n))],
      ...(data.compare ? [["before", "Period before", number(data.before[n])]] : []),
    ],
    paint(plot, data, ink) {
      const { ctx } = plot, ratio = devicePixelRatio || 1;
      const x = (at) => plot.valToPos(at, "x", true), y = (value) => plot.valToPos(value, "y", true);
      const slot = x(data.at[0] + data.step) - x(data.at[0]), gap = Math.min(slot * 0.28, 6 * ratio), wide = Math.max(1, Math.min(slot - gap, 34 * ratio));
      ctx.save();
      data.at.forEach((at, n) => {
        const left = x(at) + (slot - wide) / 2;
        let base = 0;
        ctx.globalAlpha = n === data.at.length - 1 && data.partial < 1 ? 0.5 : 1;
        data.sent.forEach((series) => {
          if (!series.values[n]) return;
          const high = y(base + series.values[n]), low = y(base);
          ctx.fillStyle = ink(series.key);
          ctx.fillRect(left, high, wide, Math.max(low - high, ratio * 0.75));
          base += series.values[n];
        });
      });
      if (data.compare && data.before.some(Boolean)) {
        ctx.globalAlpha = 0.75;
        ctx.setLineDash([4 * ratio, 3 * ratio]);
        ctx.lineWidth = 1.5 * ratio;
        ctx.strokeStyle = ink("ink");
        ctx.beginPath();
        data.at.forEach((at, n) => { ctx.lineTo(x(at), y(data.before[n])); ctx.lineTo(x(at + data.step), y(data.before[n])); });
        ctx.stroke();
      }
      ctx.restore();
    },
  };

  /* Lines of the quantiles on a logarithmic scale; where nothing was sent there is no line. */
  const NAMES = [["p99", "p99"], ["p95", "p95"], ["p50", "p50"]];
  const TICKS = new Map([[0.001, "1 ms"], [0.01, "10 ms"], [0.1, "100 ms"], [1, "1 s"], [10, "10 s"], [60, "1 min"], [600, "10 min"],
    [3600, "1 h"], [36000, "10 h"]]);
  const LATENCY = {
    values: (data) => NAMES.map(([name]) => data.latency[name]),
    scale: (chart) => ({ distr: 3, range: () => {
      const known = NAMES.flatMap(([name]) => chart.data.latency[name]).filter((value) => value > 0);
      return [Math.min(0.05, ...known) * 0.6, Math.max(1, ...known) * 1.8];
    } }),
    axis: () => ({
      splits: (_, __, least, most) => [...TICKS.keys()].filter((tick) => tick >= least && tick <= most),
      filter: (_, splits) => splits, values: (_, splits) => splits.map((tick) => TICKS.get(tick)),
    }),
    summary: (data) => {
      const last = (name) => data.latency[name].filter((value) => value !== null).at(-1);
      return last("p50") === undefined ? "How long sending took: nothing was sent."
        : `How long sending took, lately: half within ${duration(last("p50"))}, 95 of 100 within ${duration(last("p95"))}, 99 of 100 within `
          + `${duration(last("p99"))}. Arrow keys read step by step.`;
    },
    rows: (data, n) => NAMES.map(([name, words]) => [name, words, duration(data.latency[name][n])]),
    paint(plot, data, ink) {
      const { ctx } = plot, ratio = devicePixelRatio || 1;
      const x = (n) => plot.valToPos(data.at[n] + data.step / 2, "x", true), y = (value) => plot.valToPos(value, "y", true);
      ctx.save();
      ctx.lineJoin = ctx.lineCap = "round";
      NAMES.forEach(([name]) => {
        const values = data.latency[name];
        ctx.strokeStyle = ctx.fillStyle = ink(name);
        ctx.lineWidth = (name === "p50" ? 2 : 1.6) * ratio;
        let drawing = false;
        ctx.beginPath();
        values.forEach((value, n) => {
          if (value === null) { drawing = false; return; }
          if (drawing) ctx.lineTo(x(n), y(value)); else ctx.moveTo(x(n), y(value));
          drawing = true;
        });
        ctx.stroke();
        values.forEach((value, n) => {  // a value without neighbours is a dot
          if (value === null || (values[n - 1] ?? null) !== null || (values[n + 1] ?? null) !== null) return;
          ctx.beginPath();
          ctx.arc(x(n), y(value), 2.2 * ratio, 0, 7);
          ctx.fill();
        });
      });
      ctx.restore();
    },
  };

  Object.assign(window.CarillonDash, { Chart, SENT, LATENCY });
})();
