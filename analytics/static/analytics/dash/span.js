/* A span of time: tiles with the period before, the table of outcomes, the reasons and the rankings. */
"use strict";

(() => {
  const { el, morph, linked, icon, number, short, tiny, percent, duration, sparkline, change, trend } = window.CarillonDash;
  const part = (name) => document.querySelector(`[data-part="${name}"]`);
  const shown = (name, ...what) => { const place = part(name); if (place) morph(place, ...what); };
  const exact = (value) => el("span", { title: number(value) }, short(value));
  /* In a table that must fit a telephone, too. */
  const fitting = (value) => el("span.dash-fit", { "data-tiny": tiny(value) }, el("span", {}, short(value)));

  /* --- tiles ------------------------------------------------------------------------------------------------------ */

  function tiles(figures, charts, compare) {
    const { totals, span, success, latency } = figures;
    const line = (outcome) => charts?.outcomes[outcome] || [];
    const against = (outcome, good) => (compare ? change(totals[outcome].now, totals[outcome].before, span, good) : null);
    const sum = (names, when) => names.reduce((total, name) => total + totals[name][when], 0);
    const lost = ["failed", "dead", "bounced"];
    const skippedOf = totals.queued.now + totals.skipped.now ? totals.skipped.now / (totals.queued.now + totals.skipped.now) : null;
    shown("tiles",
      tile("Accepted", linked(totals.accepted.url, exact(totals.accepted.now)), against("accepted", 0), "notifications taken", line("accepted")),
      tile("Sent", linked(totals.sent.url, exact(totals.sent.now)), against("sent", 0), "messages taken by a provider", line("sent"), "accent"),
      tile("Got through", percent(success.now), compare ? points(success.now, success.before) : null, "of what was tried to the end", through(charts), "good",
        success.now === null ? "" : success.now < 0.8 ? "bad" : success.now < 0.95 ? "warn" : ""),
      tile("Accept to sent, p95", latency.now.p95 === null ? "–" : duration(latency.now.p95), compare ? faster(latency.now.p95, latency.before.p95) : null,
        latency.now.p50 === null ? "nothing was sent" : `p50 ${duration(latency.now.p50)} · p99 ${duration(latency.now.p99)}`, charts?.latency.p95 || [], "p95"),
      tile("Skipped", linked(totals.skipped.url, exact(totals.skipped.now)), against("skipped", 0), skippedOf === null ? "for a reason" : `${percent(skippedOf)} of all, for a reason`, line("skipped"), "quiet"),
      tile("Lost", linked(lost.filter((name) => totals[name].now).length === 1 ? totals[lost.find((name) => totals[name].now)].url : "", exact(sum(lost, "now"))),
        compare ? change(sum(lost, "now"), sum(lost, "before"), span, -1) : null, "bounced, refused or given up",
        line("failed").map((value, n) => value + line("dead")[n] + line("bounced")[n]), "bad", sum(lost, "now") ? "" : "good"));
  }

  function tile(label, value, against, hint, line, tone, how) {
    return el("div.dash-tile", { "data-tone": how },
      el("h3", {}, label), el("div.dash-value", {}, el("strong", {}, value), against), el("p", {}, hint), sparkline(line, tone || "quiet"));
  }

  function points(now, before) {
    if (now === null || before === null) return null;
    const step = (now - before) * 100, told = `${percent(before)} in the period before`;
    return Math.abs(step) < 0.1 ? el("span.dash-change", { title: told }, "same") : trend(step, `${Math.abs(step).toFixed(1)} pt`, told, Math.abs(step) > 0.5 ? 1 : 0);
  }

  function faster(now, before) {
    if (!now || !before) return null;
    const ratio = now / before - 1, told = `${duration(before)} in the period before`;
    return Math.abs(ratio) < 0.05 ? el("span.dash-change", { title: told }, "same")
      : trend(ratio, ratio > 4 ? `×${Math.round(ratio + 1)}` : `${Math.abs(ratio * 100).toFixed(0)}%`, told, Math.abs(ratio) > 0.25 ? -1 : 0);
  }

  /* The share that got through, step by step. */
  function through(charts) {
    if (!charts) return [];
    const { sent, failed, dead, bounced } = charts.outcomes;
    return sent.map((value, n) => (value + failed[n] + dead[n] ? Math.max(0, value - bounced[n]) / (value + failed[n] + dead[n]) : null));
  }

  /* --- the table of outcomes -------------------------------------------------------------------------------------- */

  const ROWS = [
    ["queued", "To be sent", "messages, one a channel and address"], ["sent", "Sent", "taken by a provider"], ["delivered", "Delivered", "the provider said so"],
    ["opened", "Opened", "by a person, for the first time"], ["clicked", "Clicked", "by a person, for the first time"],
    ["skipped", "Skipped", "for a reason"], ["deferred", "Tried again", "a try failed for now"], ["held", "Held back", "nobody was allowed to send it then"],
    ["bounced", "Bounced", "came back"], ["failed", "Refused", "for good"], ["dead", "Given up", "every try failed"], ["complained", "Complaints", "marked as spam"],
  ];
  const BAD = new Set(["bounced", "failed", "dead", "complained"]);

  function outcomes(figures, compare) {
    const { totals, channels, span } = figures;
    const most = Math.max(1, ...ROWS.map(([key]) => totals[key].now));
    shown("outcomes", el("table.dash-table.dash-outcomes", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "What happened"), el("th", { scope: "col" }, "Together"),
        compare && el("th.wide", { scope: "col" }, "Change"), channels.map((channel) => el("th", { scope: "col" }, el("span.dash-dot", { "data-key": channel.key }), el("span", {}, channel.label))))),
      el("tbody", {}, ROWS.map(([key, label, about]) => el("tr", {},
        el("th", { scope: "row", title: about }, label),
        el("td.dash-share", { class: `dash-share${totals[key].now ? "" : " zero"}` },
          totals[key].now / most > 0.005 && el("i", { style: { width: `${100 * totals[key].now / most}%` }, "data-tone": BAD.has(key) ? "bad" : "accent" }),
          linked(totals[key].url, fitting(totals[key].now), `${label}: ${number(totals[key].now)}`)),
        compare && el("td.wide", {}, change(totals[key].now, totals[key].before, span, BAD.has(key) ? -1 : 0)),
        channels.map((channel) => {
          const { now, url } = channel.counts[key];
          return el("td", { class: now ? null : "zero" }, now ? linked(url, fitting(now), `${label} by ${channel.label}: ${number(now)}`) : "0");
        }))),
      el("tr.dash-ruled", {}, el("th", { scope: "row", title: "Of what was tried to the end" }, "Got through"), el("td", {}, percent(figures.success.now)), compare && el("td.wide", {}),
        channels.map((channel) => el("td", { "data-tone": channel.success !== null && channel.success < 0.95 ? channel.success < 0.8 ? "bad" : "warn" : "" }, percent(channel.success)))),
      el("tr", {}, el("th", { scope: "row", title: "From acceptance to the provider’s yes: 95 of 100 were quicker" }, "p95 to sent"), el("td", {}, duration(figures.latency.now.p95)), compare && el("td.wide", {}),
        channels.map((channel) => el("td", {}, duration(channel.p95)))))));
  }

  function reasons(name, items, span, compare, empty) {
    const most = Math.max(1, ...items.map((item) => item.now)), all = items.reduce((sum, item) => sum + item.now, 0);
    shown(name, items.length ? el("ul.dash-bars", {}, items.map((item) => el("li", {},
      el("span", {}, linked(item.url, item.label)),
      el("span", {}, compare && change(item.now, item.before, span, 0), el("b", { title: number(item.now) }, short(item.now)), el("small", {}, percent(item.now / all))),
      el("div.dash-track", {}, el("i", { style: { width: `${100 * item.now / most}%` } })))))
      : el("p.dash-empty", {}, icon("check"), empty));
  }

  window.CarillonDash.figures = (figures, charts, compare) => {
    figures.span.first = !Object.values(figures.totals).some((count) => count.before);  // then nothing is new
    tiles(figures, charts, compare);
    outcomes(figures, compare);
    reasons("skips", figures.skips, figures.span, compare, "Nothing was skipped.");
    reasons("errors", figures.errors, figures.span, compare, "Nothing went wrong.");
    reasons("holds", figures.holds, figures.span, compare, "Nothing had to wait for a provider or a limit.");
  };

  /* --- rankings --------------------------------------------------------------------------------------------------- */

  function ranking(name, head, rows, row, empty) {
    shown(name, rows.length ? el("table.dash-table", {},
      el("thead", {}, el("tr", {}, head.map((word) => el("th", { scope: "col" }, word)))),
      el("tbody", {}, rows.map((one) => el("tr", {}, el("th.dash-name", { scope: "row" }, linked(one.url, one.label)), row(one).map((value) =>
        (value instanceof Node ? value : el("td", { class: value === "0" ? "zero" : null }, value)))))))
      : el("p.dash-empty", {}, icon("inbox"), empty));
  }

  const rate = (share) => el("td", { "data-tone": share !== null && share < 0.95 ? share < 0.8 ? "bad" : "warn" : "" }, percent(share));

  window.CarillonDash.tops = (tops) => {
    ranking("campaigns", ["Campaign", "Sent", "Opened", "Lost"], tops.campaigns, (one) => [short(one.sent), short(one.opened), short(one.lost)], "No campaign sent anything.");
    ranking("callers", ["Caller", "Sent", "Opened", "Lost"], tops.callers, (one) => [short(one.sent), short(one.opened), short(one.lost)], "Nobody sent anything.");
    ranking("categories", ["Category", "Sent", "Skipped", "Got through"], tops.categories, (one) => [short(one.sent), short(one.skipped), rate(one.success)], "Nothing was sent.");
    ranking("through", ["Provider", "Sent", "Tried again", "Got through", "p95 to sent"], tops.providers,
      (one) => [short(one.sent), short(one.retried), rate(one.success), duration(one.p95)], "No provider was asked.");
  };
})();
