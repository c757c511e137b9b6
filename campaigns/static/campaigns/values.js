/* The values of a campaign's template, one field each, over the JSON that the server takes: what is typed here stands there at
   once. Values that are lists or objects stay in the JSON, which works alone, too, without this file. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("campaign_form");
  const plan = document.getElementById("plan");
  const json = form && form.querySelector("textarea[name=data]");
  if (!plan || !json) return;
  const around = json.parentElement;
  const help = json.getAttribute("aria-describedby");
  const wrong = Boolean(json.closest(".form-row, .field-line, .field-data")?.querySelector(".errorlist, .errors, [id$=_error]"));
  const fieldsClass = form.querySelector("[name=name]").className;

  const box = document.createElement("div");
  box.className = "campaign-values";
  const raw = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "As JSON";
  raw.className = "campaign-json";
  around.insertBefore(box, json);
  around.insertBefore(raw, json);
  raw.append(summary, json, ...[help && document.getElementById(help)].filter((one) => one && around.contains(one)));

  let drawn = "";

  function read() {
    try {
      const found = JSON.parse(json.value.trim() || "{}");
      return found && typeof found === "object" && !Array.isArray(found) ? found : null;
    } catch {
      return null;
    }
  }

  /* Numbers stay numbers where the sample is one: a template may count with them. */
  function typed(input, sample) {
    if (input.type === "checkbox") return input.checked;
    const text = input.value.trim();
    if (text === "") return undefined;
    return typeof sample === "number" && Number.isFinite(Number(text)) ? Number(text) : input.value;
  }

  function write(name, value) {
    const data = read() || {};
    if (value === undefined) delete data[name];
    else data[name] = value;
    json.value = Object.keys(data).length ? JSON.stringify(data, null, 2) : "";
  }

  function field({ name, sample }) {
    const input = document.createElement("input");
    const label = document.createElement("label");
    input.id = `value-${name}`;
    label.htmlFor = input.id;
    label.textContent = name.replaceAll("_", " ");
    input.dataset.value = name;
    if (typeof sample === "boolean") {
      input.type = "checkbox";
    } else {
      input.type = "text";
      input.className = fieldsClass;
      input.placeholder = sample === "" ? "" : `for example ${sample}`;
    }
    input.addEventListener("input", () => write(name, typed(input, sample)));
    const row = document.createElement("div");
    row.append(label, input);
    return row;
  }

  function fill() {
    const data = read();
    box.inert = data === null;  // what can't be read must not be written over
    if (data === null) return;
    for (const input of box.querySelectorAll("[data-value]")) {
      const value = data[input.dataset.value];
      if (input.type === "checkbox") input.checked = Boolean(value);
      else if (document.activeElement !== input) input.value = value === undefined || value === null ? "" : String(value);
      input.disabled = value !== null && typeof value === "object";
    }
  }

  function note(text) {
    const line = document.createElement("p");
    line.className = "campaign-quiet";
    line.textContent = text;
    return line;
  }

  function draw(values) {
    const shape = JSON.stringify(values);
    if (shape === drawn) return;
    drawn = shape;
    const simple = values.filter(({ sample }) => sample === null || typeof sample !== "object");
    const rest = values.filter((one) => !simple.includes(one)).map(({ name }) => name);
    const said = [];
    if (!values.length) said.push(note("The message needs no values besides what is known of each person."));
    if (rest.length) said.push(note(`Of several parts, and given as JSON below: ${rest.join(", ")}.`));
    if (rest.length) raw.open = true;
    box.replaceChildren(...simple.map(field), ...said);
    fill();
  }

  json.addEventListener("input", fill);
  plan.addEventListener("answered", ({ detail }) => { if (detail.values) draw(detail.values); });
  raw.open = wrong || read() === null;
});
