/* The form of a draft, one step at a time. Without this file it is one long form that works as well. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("campaign_form");
  const plan = document.getElementById("plan");
  const turns = document.querySelector(".campaign-turns");
  if (!form || !plan || !turns) return;
  const order = ["message", "audience", "timing"];
  const sets = (step) => [...form.querySelectorAll(`fieldset.step-${step}`)];
  let at = "";

  function show(step, { focus = false } = {}) {
    at = order.includes(step) ? step : order[0];
    for (const one of order) for (const set of sets(one)) set.classList.toggle("campaign-elsewhere", one !== at);
    for (const item of document.querySelectorAll(".campaign-steps li")) {
      const place = order.indexOf(item.dataset.step);
      item.toggleAttribute("aria-current", item.dataset.step === at);
      if (item.dataset.step === at) item.setAttribute("aria-current", "step");
      item.classList.toggle("done", place >= 0 && place < order.indexOf(at));
    }
    turns.querySelector("[data-turn=back]").hidden = at === order[0];
    turns.querySelector("[data-turn=next]").hidden = at === order.at(-1);
    turns.querySelector("[data-turn=check]").hidden = at !== order.at(-1);
    if (!focus) return;
    const set = sets(at)[0];
    const first = set.querySelector("input:not([type=hidden]), select, textarea");
    const chosen = first && first.type === "radio" ? set.querySelector(`[name="${first.name}"]:checked`) : null;
    if (first) (chosen || first).focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }

  function turn(by) {
    show(order[order.indexOf(at) + by], { focus: true });
  }

  /* A step's link turns the page of this form; on a page without the form it leads to it. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".campaign-steps li a, .campaign-missing a");
    const step = link && (link.dataset.step || link.closest("li").dataset.step);
    if (!order.includes(step)) return;
    event.preventDefault();
    show(step, { focus: true });
  });
  for (const item of document.querySelectorAll(".campaign-steps li")) {  // a new campaign's steps are no links yet
    const label = item.querySelector("span");
    if (!label || label.parentElement !== item || !order.includes(item.dataset.step)) continue;
    const button = document.createElement("a");
    button.href = "#";
    button.append(...label.childNodes);
    label.replaceWith(button);
  }
  turns.querySelector("[data-turn=back]").addEventListener("click", () => turn(-1));
  turns.querySelector("[data-turn=next]").addEventListener("click", () => turn(1));

  let timer = 0;
  const ask = () => window.CampaignPlan.ask(plan, { method: "POST", body: new FormData(form) });
  const later = () => { clearTimeout(timer); timer = setTimeout(ask, 500); };
  form.addEventListener("input", later);
  form.addEventListener("change", later);
  if (window.django && window.django.jQuery) window.django.jQuery(form).on("change", "select", later);

  const wrong = order.find((step) => sets(step).some((set) => set.querySelector(".errors, .errorlist")));
  turns.hidden = false;
  form.classList.add("campaign-stepping");
  show(wrong || new URLSearchParams(location.search).get("step"));
  ask();
});
