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

  /* The list of people behind a number, for whom may look at people. */
  function open(text, wanted, className) {
    if (!root.dataset.people) return node("span", className || "", text);
    const made = node("a", `campaign-open ${className || ""}`, text);
    made.href = `${root.dataset.people}?${new URLSearchParams(wanted)}`;
    return made;
  }

  /* Of the people reached, and how often in all. */
  const engaged = (people, reached, times, what) => people
    ? `${percent(people, reached)} of the people${times > people ? ` · ${number(times)} ${what} in all` : ""}` : "nobody yet";

  function step(label, count, of, hint, wanted) {
    const fill = node("i");
    fill.style.width = `${of > 0 ? Math.min(100, 100 * count / of) : 0}%`;
    return node("li", "", node("span", "name", label), node("span", "count", open(number(count), wanted)),
      node("span", "hint", hint), node("div", "track", fill));
  }

  /* What was accepted, and how far it got. Opened and clicked count people, the rest messages. */
  function funnel({ messages: m, people: p }) {
    part("funnel").replaceChildren(
      step("Accepted", m.queued, m.queued, m.in_flight ? `${number(m.in_flight)} on their way` : "messages", { outcome: "all" }),
      step("Sent", m.sent, m.queued, `${percent(m.sent, m.queued)} of accepted`, { outcome: "sent" }),
      step("Delivered", m.delivered, m.queued, `${percent(m.delivered, m.sent)} of sent`, { outcome: "delivered" }),
      step("Opened", m.opened_people, p.reached, engaged(m.opened_people, p.reached, m.opens, "opens"), { outcome: "opened" }),
      step("Clicked", m.clicked_people, p.reached, engaged(m.clicked_people, p.reached, m.clicks, "clicks"), { outcome: "clicked" }),
    );
  }

  function tiles({ messages: m, people: p, status: now, at }, rate) {
    const failed = m.failed + m.dead + m.bounced;
    const speed = rate.people > 0 ? `${number(rate.people * 60)} a minute` : "–";
    const seconds = p.waiting && rate.people > 0 && now === "sending" ? p.waiting / rate.people : 0;
    const end = seconds ? clock(Date.parse(at) + seconds * 1000) : p.waiting ? "–" : "all";
    const of = m.queued + m.skipped;
    part("tiles").replaceChildren(
      tile("Rate", speed, "people handed out"),
      tile(p.waiting ? "Handed out by" : "Handed out", end, seconds ? `in about ${duration(seconds)}` : p.waiting ? "not going on at present" : "everyone had their turn"),
      tile("On their way", open(number(m.in_flight), { outcome: "waiting" }), "messages"),
      tile("Skipped", open(number(m.skipped), { outcome: "skipped" }), m.skipped ? `${percent(m.skipped, of)} of all, reasons below` : "none"),
      tile("Failed", open(number(failed), { outcome: "failed" }), failed ? `${number(m.bounced)} of them bounced` : "none", failed ? "bad" : ""),
    );
  }

  const STATES = { done: "done", now: "now", next: "then" };

  /* What runs: the first few, the test, everybody else; for a campaign that goes to all at once there is nothing to say. */
  function phase({ phase: now, at }) {
    part("phase").hidden = !now;
    if (!now) return;
    part("phases").replaceChildren(...now.steps.map(({ label, about, state }) => {
      const item = node("li", state, node("b", "", label, node("span", "state", STATES[state])), node("small", "", about));
      if (state === "now") item.setAttribute("aria-current", "step");
      return item;
    }));
    const left = now.until ? (Date.parse(now.until) - Date.parse(at)) / 1000 : 0;
    const text = [now.text, left > 0 ? `About ${duration(left)} to go.` : ""].filter(Boolean).join(" ");
    const box = part("phase-text");
    if (box.textContent !== text) box.textContent = text;
    box.hidden = !text;
  }

  const clock = (moment) => `${new Date(moment).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" })} UTC`;

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
      row([node("span", "", dot(channel.key), channel.label), ...columns.map((column) => cell(column, channel))])));
    if (figures.channels.length > 1) {
      const sums = columns.map((column) => figures.channels.reduce((sum, channel) => sum + channel[column], 0));
      part("channels").append(row(["All", ...sums], "total"));
    }
  }

  const cell = (column, { key, [column]: count }) => (column === "queued" || !count ? count
    : open(number(count), { outcome: column, channel: key }));

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

  const opened = (reasons, outcome) => reasons.map(({ label, count, reason }) =>
    ({ label: reason ? open(label, { outcome, reason }) : label, count }));

  /* Read from the record each time it is opened: counters don't tell languages apart. */
  const languages = part("languages");
  languages.addEventListener("toggle", async () => {
    if (!languages.open) return;
    const note = languages.querySelector("p");
    try {
      const response = await fetch(root.dataset.languages, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      const { rows, sampled } = await response.json();
      languages.querySelector("tbody").replaceChildren(...rows.map(({ label, ...counts }) => row([label, ...Object.values(counts)])));
      note.textContent = sampled ? `From the messages of ${number(sampled)} people picked evenly, scaled up to all.` : "Of all messages handed out so far.";
    } catch {
      note.textContent = "These figures can't be had at the moment. Close this and open it again.";
    }
  });

  poll(root, (figures) => {
    if (figures.status !== status) return location.reload();  // its buttons are others now
    status = figures.status;
    part("status").textContent = figures.status_label;
    const problem = part("problem");
    for (const stop of [part("pause"), part("cancel")]) {  // also when completed, as long as something is on its way
      if (stop) stop.hidden = status === "completed" && !figures.messages.in_flight;
    }
    problem.hidden = !figures.problem;
    problem.textContent = figures.problem ? `Stopped by itself. ${figures.problem}` : "";
    const rate = pace(figures);
    phase(figures);
    progress(figures, rate);
    funnel(figures);
    tiles(figures, rate);
    channels(figures);
    people(figures);
    part("per").textContent = `${per(figures.sent.step)}, UTC`;
    legend(part("legend"), figures.sent.series.filter((series) => series.counts.some(Boolean)));
    bars(part("sent"), figures.sent, "Nothing has been sent yet");
    list(part("skips"), opened(figures.skips, "skipped"), "Nobody was skipped.");
    list(part("errors"), opened(figures.errors, "failed"), "Nothing failed.");
    root.querySelector(".campaign-machines").hidden = !figures.machines.length;
    list(part("machines"), figures.machines, "");
  });
})();
