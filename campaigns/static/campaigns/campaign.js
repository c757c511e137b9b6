"use strict";

(() => {
  const { poll, tile, list, bars, legend, node, dot, number, percent, duration, per } = window.Carillon;
  const root = document.getElementById("campaign");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const seen = [];
  let status = root.dataset.status;

  /* What changed over the last ten seconds or so of looking. */
  function pace(figures) {
    const now = { at: Date.parse(figures.at) / 1000, handled: figures.people.handled, ended: figures.messages.ended };
    seen.push(now);
    while (seen.length > 2 && now.at - seen[0].at > 12) seen.shift();
    const span = now.at - seen[0].at;
    if (span < 1) return { people: 0, messages: 0 };
    return { people: (now.handled - seen[0].handled) / span, messages: (now.ended - seen[0].ended) / span };
  }

  function bar(name, words, aside, part_, of, done) {
    const box = part(name);
    box.querySelector(".words").replaceChildren(node("span", "", words), node("span", "", aside));
    const share = of > 0 ? Math.min(100, 100 * part_ / of) : 0;
    box.querySelector("i").style.width = `${share}%`;
    const track = box.querySelector(".track");
    track.setAttribute("aria-valuenow", String(Math.floor(share)));
    box.classList.toggle("good", done);
  }

  function progress({ people, messages, status: now }, rate) {
    const given = people.audience - people.waiting;
    const left = people.waiting && rate.people > 0 && now === "sending" ? `about ${duration(people.waiting / rate.people)} left` : "";
    const speed = rate.people > 0 ? `${number(rate.people)} people a second` : "";
    bar("handed", `${number(given)} of ${number(people.audience)} people handed out`,
      [speed, left].filter(Boolean).join(" · ") || percent(given, people.audience), given, people.audience, !people.waiting);
    const flow = rate.messages > 0 && (messages.in_flight || now === "sending") ? `${number(rate.messages)} messages a second` : "";
    const open = messages.in_flight ? `${number(messages.in_flight)} on their way` : "";
    bar("ended", `${number(messages.ended)} of ${number(messages.queued)} messages done`,
      [flow, open].filter(Boolean).join(" · ") || percent(messages.ended, messages.queued),
      messages.ended, messages.queued, messages.queued > 0 && !messages.in_flight);
  }

  const share = (count, of, what) => (of ? `${percent(count, of)} of ${what}` : "");

  /* Of the people reached, and how often in all. */
  const engaged = (people, reached, times, what) => people
    ? `${percent(people, reached)} of the people${times > people ? ` · ${number(times)} ${what} in all` : ""}` : "nobody yet";

  function tiles({ messages: m, people: p }) {
    const failed = m.failed + m.dead + m.bounced;
    part("tiles").replaceChildren(
      tile("Sent", number(m.sent), m.in_flight ? `${number(m.in_flight)} on their way` : "none on their way"),
      tile("Delivered", number(m.delivered), share(m.delivered, m.sent, "sent")),
      tile("Opened", number(m.opened_people), engaged(m.opened_people, p.reached, m.opens, "opens")),
      tile("Clicked", number(m.clicked_people), engaged(m.clicked_people, p.reached, m.clicks, "clicks")),
      tile("Skipped", number(m.skipped), m.skipped ? "reasons below" : "none"),
      tile("Failed", number(failed), failed ? `${number(m.bounced)} of them bounced` : "none", failed ? "bad" : ""),
    );
  }

  function row(cells, className) {
    return node("tr", className || "", ...cells.map((cell) => {
      const made = node("td", cell === 0 ? "zero" : "");
      made.append(typeof cell === "number" ? number(cell) : cell);
      return made;
    }));
  }

  function channels(figures) {
    const columns = ["queued", "sent", "delivered", "opened", "clicked", "skipped", "failed"];
    part("channels").replaceChildren(...figures.channels.map((channel) =>
      row([node("span", "", dot(channel.key), channel.label), ...columns.map((column) => channel[column])])));
    if (figures.channels.length > 1) {
      const sums = columns.map((column) => figures.channels.reduce((sum, channel) => sum + channel[column], 0));
      part("channels").append(row(["All", ...sums], "total"));
    }
  }

  function people({ people: p }) {
    const lines = [
      ["Reached on at least one channel", p.reached],
      ["On no channel: opted out, suppressed or without an address", p.unreachable],
      ["Could not be handed out", p.dropped],
      ["Erased since the start", p.erased],
      [status === "cancelled" ? "Not handed out" : "Not handed out yet", p.waiting],
    ].filter(([, count], n) => n < 2 || count);
    part("people").replaceChildren(...lines.map((line) => row(line)), row(["Audience", p.audience], "total"));
  }

  poll(root, (figures) => {
    if (figures.status !== status) return location.reload();  // its buttons are others now
    status = figures.status;
    part("status").textContent = figures.status_label;
    const problem = part("problem");
    const cancel = part("cancel");  // a completed campaign can be cancelled as long as something is on its way
    if (cancel) cancel.hidden = status === "completed" && !figures.messages.in_flight;
    problem.hidden = !figures.problem;
    problem.textContent = figures.problem ? `Stopped by itself. ${figures.problem}` : "";
    progress(figures, pace(figures));
    tiles(figures);
    channels(figures);
    people(figures);
    part("per").textContent = `${per(figures.sent.step)}, UTC`;
    legend(part("legend"), figures.sent.series.filter((series) => series.counts.some(Boolean)));
    bars(part("sent"), figures.sent, "Nothing has been sent yet");
    list(part("skips"), figures.skips, "Nobody was skipped.");
    list(part("errors"), figures.errors, "Nothing failed.");
    root.querySelector(".campaign-machines").hidden = !figures.machines.length;
    list(part("machines"), figures.machines, "");
  });
})();
