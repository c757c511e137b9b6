"use strict";

(() => {
  const { poll, tile, list, bars, legend, number, percent, duration } = window.Carillon;
  const root = document.getElementById("dashboard");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const TONES = { failed: "bad", dead: "bad", bounced: "warn", deferred: "warn" };

  poll(root, (figures) => {
    const count = Object.fromEntries(figures.outcomes.map((outcome) => [outcome.key, outcome.count]));
    const shares = { delivered: count.sent, opened: count.delivered, clicked: count.delivered };
    part("outcomes").replaceChildren(...figures.outcomes.map(({ key, label, hint, count: value }) =>
      tile(label, number(value), shares[key] ? `${percent(value, shares[key])} of ${key === "delivered" ? "sent" : "delivered"}` : hint,
        value ? TONES[key] : "")));
    const { due, oldest, later, dead } = figures.backlog;
    const bounded = ({ count, more }) => number(count) + (more ? "+" : "");
    part("backlog").replaceChildren(
      tile("Outbox, due", bounded(due), due.count ? "messages waiting to be queued" : "no message waits to be queued"),
      tile("Oldest due", oldest === null ? "–" : duration(oldest), "how far behind we are", oldest > 60 ? "bad" : oldest > 10 ? "warn" : ""),
      tile("Outbox, later", bounded(later), "messages scheduled, held or to be tried again"),
      tile("Dead letters", bounded(dead), dead.count ? "to be looked at" : "none", dead.count ? "bad" : ""),
    );
    legend(part("legend"), figures.sent.series);
    bars(part("sent"), figures.sent, "Nothing was sent in the last hour");
    list(part("skips"), figures.skips, "Nothing was skipped in the last hour.");
    list(part("errors"), figures.errors, "No errors in the last hour.");
  });
})();
