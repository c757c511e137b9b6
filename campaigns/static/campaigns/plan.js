/* What will happen with a campaign that has not started. Draws what the server says into #plan; pages with a form ask again
   whenever it changes (wizard.js). Nothing here decides anything. */
"use strict";

window.CampaignPlan = (() => {
  const whole = new Intl.NumberFormat();
  let asked = null;

  function node(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

  function tile(label, value, hint) {
    return node("div", "live-tile", node("div", "label", label), node("div", "value", value), node("div", "hint", hint));
  }

  function channel({ label, reachable, skipped, turn }, plan) {
    const why = skipped.map(({ label: reason, count }) => `${whole.format(count)} ${reason}`).join(" · ");
    const about = plan.sampled ? "about " : "";
    const left = why ? `left out: ${why}` : "everybody can be reached";
    return tile(label, `${about}${whole.format(reachable)}`, turn ? `${turn} · ${left}` : left);
  }

  function figures(plan) {
    const people = plan.is_exact ? whole.format(plan.people) : `about ${whole.format(plan.people)}`;
    const hint = plan.sampled ? `channels from ${whole.format(plan.sampled)} people picked evenly` : "in the audience";
    return [tile("People", people, hint), ...plan.channels.map((one) => channel(one, plan))];
  }

  function problems(found, edit) {
    if (!found.length) return [node("p", "campaign-ready", "Nothing is missing: it can be submitted for review.")];
    const items = found.map(({ text, where, step }) => {
      const line = node("li", "", node("span", "", text));
      if (edit === undefined) return line;
      const link = node("a", "cr-link", where);
      link.href = `${edit}?step=${step}`;
      link.dataset.step = step;
      line.append(link);
      return line;
    });
    return [node("h3", "", "Before it can go out"), node("ul", "campaign-missing", ...items)];
  }

  function draw(root, plan) {
    root.dispatchEvent(new CustomEvent("answered", { detail: plan }));
    part(root, "state").textContent = plan.errors ? "" : "as it stands now";
    part(root, "hint").hidden = !plan.errors;
    part(root, "hint").textContent = plan.errors ? plan.errors.join(" ") : "";
    part(root, "body").hidden = Boolean(plan.errors);
    root.dispatchEvent(new CustomEvent("planned", { detail: plan }));
    if (plan.errors) return;
    part(root, "figures").replaceChildren(...figures(plan));
    const sentences = [plan.when, plan.order, plan.pace, ...plan.care, plan.approval].filter(Boolean);
    part(root, "sentences").replaceChildren(...sentences.map((text) => node("li", "", text)));
    part(root, "problems").replaceChildren(...(root.dataset.bare ? [] : problems(plan.problems, root.dataset.edit)));
  }

  async function ask(root, options) {
    if (asked) asked.abort();
    asked = new AbortController();
    try {
      const response = await fetch(root.dataset.url, { ...options, signal: asked.signal, cache: "no-store",
        headers: { Accept: "application/json", ...(options || {}).headers } });
      if (!response.ok || response.redirected) throw new Error(String(response.status));
      draw(root, await response.json());
    } catch (error) {
      if (error.name === "AbortError") return;
      part(root, "state").textContent = "These figures can't be had at the moment.";
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("plan");
    if (root && !document.getElementById("campaign_form")) ask(root);
  });

  return { ask };
})();
