/* This moment: the verdict, the channels, what waits, who serves and who works. Draws the parts that a page has. */
"use strict";

(() => {
  const { el, morph, linked, icon, number, short, percent, duration, sparkline } = window.CarillonDash;
  const SYMBOLS = { good: "check_circle", quiet: "bedtime", unknown: "help", warn: "warning", bad: "error" };
  const TONES = { good: "Healthy", quiet: "Quiet", unknown: "Unknown", warn: "Troubled", bad: "Failing" };
  const CHANNELS = { push: "phonelink_ring", email: "mail", sms: "sms", in_app: "inbox" };

  const part = (name) => document.querySelector(`[data-part="${name}"]`);
  const shown = (name, ...what) => { const place = part(name); if (place) morph(place, ...what); };
  const more = (count, capped) => `${short(count)}${capped ? "+" : ""}`;
  const tone = (value, warn, bad) => (value === null || value < warn ? "" : value < bad ? "warn" : "bad");

  /* --- how fast, right now ---------------------------------------------------------------------------------------- */

  /* Counts by minute grow between two looks: the growth over the last half minute is the rate of this moment. Before
     there is so much to compare, it is that of the last whole minute. */
  class Pulse {
    constructor() { this.minutes = new Map(); this.looks = []; }

    look(figures) {
      const now = Date.parse(figures.at) / 1000;
      for (const channel of figures.channels) {
        channel.sent.slice(-3).forEach((count, n, last) =>
          this.minutes.set(`${channel.key} ${channel.minute - 60 * (last.length - 1 - n)}`, count));
      }
      let sent = 0;
      for (const count of this.minutes.values()) sent += count;
      this.looks.push({ now, sent });
      while (this.looks.length > 80) this.looks.shift();
      const from = this.looks.find((look) => now - look.now <= 30) || this.looks[0];
      return now - from.now < 8 ? figures.channels.reduce((sum, channel) => sum + channel.sent.at(-2), 0) / 60
        : Math.max(0, (sent - from.sent) / (now - from.now));
    }
  }
  const pulse = new Pulse();
  const together = (figures) => figures.channels[0].sent.map((_, n) => figures.channels.reduce((sum, channel) => sum + channel.sent[n], 0));

  function verdict(figures) {
    const { tone: found, title, sentence, findings } = figures.verdict;
    const rate = pulse.look(figures);
    const place = part("verdict");
    if (!place) return;
    place.dataset.tone = found;
    document.title = `${found === "bad" ? "● " : found === "warn" ? "○ " : ""}Dashboard | Carillon`;
    shown("verdict-words",
      el("span.dash-disc", { "data-tone": found }, icon(SYMBOLS[found])),
      el("div", {}, el("h2", {}, title), el("p", {}, sentence)));
    shown("pulse",
      el("div.dash-pulse-line", { title: "The last half hour" }, sparkline(together(figures).slice(0, -1), "accent")),
      el("div", { title: "Over the last half minute" }, el("strong", {}, rate >= 10 || !rate ? number(rate) : rate.toFixed(1)), el("span", {}, "sent a second")));
    shown("findings", findings.map((finding) => el("li", { "data-tone": finding.tone }, icon(SYMBOLS[finding.tone]),
      document.getElementById(finding.about) ? el("a", { href: `#${finding.about}` }, finding.words) : el("span", {}, finding.words))));
    part("findings").hidden = !findings.length;
    alerts(figures.alerts);
  }

  function alerts({ loud, more: hidden, muted, url }) {
    const rest = [hidden && `${number(hidden)} more`, muted && `${number(muted)} ${muted === 1 ? "is" : "are"} explained, silenced or in hand`].filter(Boolean).join(", ");
    shown("alerts", loud.map((alert) => el("li", { "data-tone": alert.tone },
      icon("notifications_active"),
      el("div", {}, el("strong", {}, linked(alert.url, alert.title)), el("span", {}, alert.summary)),
      el("time", {}, `for ${duration(alert.open_for)}`))),
      rest ? el("li.rest", {}, icon("notifications_paused"), linked(url, `${loud.length ? "And " : "Alerts: "}${rest}`)) : null);
    part("alerts").hidden = !loud.length && !rest;
  }

  function channels(figures) {
    shown("channels", figures.channels.map((channel) => {
      const count = channel.sent.slice(-6, -1).reduce((sum, value) => sum + value, 0) / 5;
      const workers = channel.workers === null ? ["unknown", "Workers unknown"] : channel.workers
        ? ["", `${channel.workers} ${channel.workers === 1 ? "worker" : "workers"}`] : ["bad", "No worker"];
      return el("article.dash-channel", { id: channel.key, "aria-label": `${channel.label}: ${TONES[channel.tone]}`, "data-tone": channel.tone },
        el("header", {},
          el("span.dash-symbol", { "data-key": channel.key }, icon(CHANNELS[channel.key])),
          el("div", {}, el("h3", {}, channel.label), el("p", { title: channel.serving }, channel.serving)),
          el("span.dash-state", { "data-tone": channel.tone }, el("i", { "aria-hidden": "true" }), TONES[channel.tone])),
        el("div.dash-flow", {},
          el("div", {}, el("strong", {}, count >= 100 ? short(count) : count.toFixed(count < 10 && count ? 1 : 0)), el("span", {}, "sent a minute")),
          sparkline(channel.sent.slice(0, -1), channel.key)),
        el("dl", {},
          fact("Got through", percent(channel.success), channel.success === null ? "" : channel.success < 0.8 ? "bad" : channel.success < 0.95 ? "warn" : ""),
          fact("p95 to sent", duration(channel.p95), ""),
          fact("Waiting", more(channel.due, channel.more), ""),
          fact("Oldest", channel.oldest === null ? "none" : duration(channel.oldest), tone(channel.oldest, 60, 300))),
        el("footer", { "data-tone": workers[0] }, workers[1], channel.later ? ` · ${more(channel.later, channel.more)} held or for later` : ""));
    }));
  }

  const fact = (label, value, how) => el("div", {}, el("dt", {}, label), el("dd", { "data-tone": how }, value));

  /* --- the machinery ---------------------------------------------------------------------------------------------- */

  function queues(figures) {
    const { backlog, lanes, broker } = figures;
    shown("backlog",
      tile("Due now", linked(backlog.url, more(backlog.due, backlog.more)), "to be sent at once", ""),
      tile("Oldest waiting", backlog.oldest === null ? "none" : duration(backlog.oldest), "since it was due", tone(backlog.oldest, 60, 300)),
      tile("Outbox lag", backlog.lag ? duration(backlog.lag) : "none", broker.used ? "until the relay takes it" : "until a worker takes it", tone(backlog.lag, 60, 300)),
      tile("In workers’ hands", broker.used ? "on the broker" : number(backlog.taken), "being sent", ""),
      tile("For later", linked(backlog.url, more(backlog.later, backlog.more)), "scheduled, held, tried again", ""),
      tile("Receipts to apply", more(backlog.receipts, backlog.receipts_more), backlog.receipts_oldest === null ? "none waits" : `the oldest for ${duration(backlog.receipts_oldest)}`,
        tone(backlog.receipts_oldest, 60, 300)),
      tile("Dead letters", linked(backlog.dead_url, more(backlog.dead, backlog.dead_more)), backlog.dead ? "to be looked at" : "none to look at", backlog.dead ? "warn" : ""));
    const head = ["Lane", "Due", "Oldest", ...(broker.used ? ["On the broker"] : ["In hand"]), "Later"];
    shown("lanes", lanes.length ? el("table.dash-table", {},
      el("thead", {}, el("tr", {}, head.map((word) => el("th", { scope: "col" }, word)))),
      el("tbody", {}, lanes.map((lane) => el("tr", {},
        el("th", { scope: "row" }, el("span.dash-dot", { "data-key": lane.channel }), linked(lane.url, `${lane.label} · ${lane.priority}`)),
        cell(more(lane.due, lane.more), !lane.due),
        el("td", { "data-tone": tone(lane.oldest, 60, 300) }, lane.oldest === null ? "–" : duration(lane.oldest)),
        broker.used ? cell(broker.known ? number(lane.depth) : "unknown", broker.known && !lane.depth) : cell(number(lane.taken), !lane.taken),
        cell(more(lane.later, lane.more), !lane.later)))))
      : el("p.dash-empty", {}, icon("done_all"), "Nothing waits anywhere."));
    shown("hour",
      tile("Tried again", short(figures.hour.deferred), "failed for now", ""),
      tile("Held back", short(figures.hour.held), "no provider or limit allowed it", ""),
      tile("Put back", short(figures.hour.rescued), "rescued by the reconciler", figures.hour.rescued ? "warn" : ""),
      tile("Taken over", short(figures.hour.reclaimed), "from a lost worker", figures.hour.reclaimed ? "warn" : ""),
      tile("Given up", short(figures.hour.dead), "every try failed", figures.hour.dead ? "bad" : ""));
  }

  const tile = (label, value, hint, how) => el("div.dash-figure", { "data-tone": how }, el("span", {}, label), el("strong", {}, value), el("small", {}, hint));
  const cell = (value, zero) => el("td", { class: zero && "zero" }, value);

  function providers(figures) {
    const section = document.getElementById("providers");
    if (!section) return;
    section.hidden = figures.providers === null;
    const back = `?next=${encodeURIComponent(location.pathname + location.search)}`;
    shown("providers", (figures.providers || []).map((chain) => el("li.dash-chain", {},
      el("div.dash-chain-head", {}, el("span.dash-symbol", { "data-key": chain.channel }, icon(CHANNELS[chain.channel])),
        el("div", {}, el("h3", {}, chain.label), el("p", { "data-tone": chain.tone }, chain.words))),
      el("ol", {}, chain.providers.map((one) => el("li.dash-provider", { "data-tone": one.tone, "data-serving": one.serving, "data-provider": one.name },
        el("div", {}, el("strong", {}, one.name), el("span.dash-state", { "data-tone": one.tone }, el("i", { "aria-hidden": "true" }), one.state)),
        el("p", {}, said(one)),
        one.acts.length ? el("div.dash-acts", {}, one.acts.map((act) => el("a.dash-button", { href: act.url + back, "data-act": act.act, "aria-label": `${act.label}: ${one.name}` }, `${act.label}…`))) : null))))));
  }

  function said(one) {
    if (one.switch) return `By ${one.switch.by}${one.switch.reason ? `: ${one.switch.reason}` : ""}`;
    if (one.calls === null) return "No figures while Redis is away";
    const waits = one.paused_for ? `paused, ${duration(one.paused_for)} left · ` : one.open_for ? `probed in ${duration(one.open_for)} · ` : "";
    if (!one.calls) return `${waits}nothing asked of it in the last minute`;
    return `${waits}${number(one.calls)} messages, ${percent(one.failed)} failed${one.slow ? `, ${percent(one.slow)} slow` : ""}`;
  }

  function limits(figures) {
    const section = document.getElementById("limits");
    if (!section) return;
    section.hidden = figures.limits === null;
    shown("limits", (figures.limits || []).length ? el("ul.dash-bars", {}, figures.limits.map((limit) => {
      const share = limit.used === null ? 0 : limit.used / limit.max;
      const span = { 1: "a second", 60: "a minute", 3600: "an hour", 86400: "a day" }[limit.seconds] || `in ${number(limit.seconds)} s`;
      return el("li", { "data-tone": share >= 1 ? "bad" : share >= 0.8 ? "warn" : "" },
        el("span", {}, linked(limit.url, limit.label)),
        el("span", {}, limit.used === null ? "unknown" : number(limit.used), el("small", {}, ` of ${number(limit.max)} ${span}`)),
        el("div.dash-track", {}, el("i", { style: { width: `${Math.min(100, share * 100)}%` } })));
    })) : el("p.dash-empty", {}, icon("all_inclusive"), "No limit is set for a provider, an API key or all of them."));
  }

  function processes(figures) {
    shown("processes", figures.processes.length ? el("ul.dash-processes", {}, figures.processes.map((kind) => el("li", {},
      el("details", {},
        el("summary", {}, el("span", {}, kind.kind), el("span.dash-lives", { "aria-label": `${kind.alive} alive${kind.lost ? `, ${kind.lost} lost` : ""}` },
          kind.each.slice(0, 16).map((one) => el("i", { "data-tone": one.alive ? "good" : "bad" }))),
        el("b", { "data-tone": kind.alive ? "" : "bad" }, kind.lost ? `${kind.alive} of ${kind.alive + kind.lost}` : number(kind.alive))),
        el("ul", {}, kind.each.map((one) => el("li", {}, el("strong", {}, one.name), ` ${one.host}, process ${one.pid}: `,
          one.alive ? `up ${duration(one.up)}` : `not heard of for ${duration(one.age)}`, one.memory ? `, ${number(one.memory / 1048576)} MB` : "")))))))
      : el("p.dash-empty", {}, icon("help"), "No process has said that it lives."));
  }

  window.CarillonDash.now = (figures) => {
    verdict(figures);
    channels(figures);
    queues(figures);
    providers(figures);
    limits(figures);
    processes(figures);
  };
})();
