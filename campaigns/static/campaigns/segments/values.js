"use strict";

/* The value beside an operator: one function for each kind, which makes its controls and reports what they say. */
window.CarillonSegments = (() => {
  function node(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name === "class") made.className = value;
      else if (name === "value") made.value = value;
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  function select(label, options, chosen, changed) {
    const menu = node("select", { class: "seg-control", "aria-label": label, onchange: () => changed(menu.value) });
    for (const [value, text] of options) {
      const option = node("option", {}, text);
      option.value = String(value);
      menu.append(option);
    }
    menu.value = String(chosen ?? "");
    if (menu.selectedIndex < 0 && chosen !== undefined && chosen !== null && chosen !== "") {
      // What was chosen once and is not offered any more stays visible.
      const option = node("option", {}, String(chosen));
      option.value = String(chosen);
      menu.append(option);
      menu.value = String(chosen);
    }
    return menu;
  }

  function input(label, type, value, changed, more) {
    const box = node("input", { class: "seg-control", type, "aria-label": label, autocomplete: "off", ...more });
    box.value = value ?? "";
    box.addEventListener("input", () => changed(box.value));
    return box;
  }

  const whole = (text) => (/^\d+$/.test(text) ? Number(text) : text);

  function days(value, most, changed) {
    return node("span", { class: "seg-days" }, input("Days", "number", value, (text) => changed(whole(text)), { min: 1, max: most, step: 1 }), "days");
  }

  const MAKERS = {
    nothing: () => [],
    text: (condition, offered, changed) => [input("Value", "text", condition.value, changed, { list: listFor(condition), maxlength: 200 })],
    texts: (condition, offered, changed) => {
      const lines = Array.isArray(condition.value) ? condition.value : [];
      const box = node("textarea", { class: "seg-control", rows: 3, "aria-label": "Values, one per line", placeholder: "one per line" });
      box.value = lines.join("\n");
      box.addEventListener("input", () => changed(box.value.split("\n").map((line) => line.trim()).filter(Boolean)));
      return [box];
    },
    number: (condition, offered, changed) => [
      input("Number", "number", condition.value, (text) => changed(text === "" ? "" : Number(text)), { step: "any" }),
    ],
    date: (condition, offered, changed) => [input("Date", "date", condition.value, changed)],
    days: (condition, offered, changed) => [days(condition.value, offered.days.days, changed)],
    platform: (condition, offered, changed) => [
      select("Platform", [["", "on any platform"], ...offered.platforms], condition.value, (chosen) => changed(chosen || undefined)),
    ],
    list: (condition, offered, changed) => [
      select("List", [["", offered.lists.length ? "choose a list…" : "there is no list yet"], ...offered.lists], condition.value, (chosen) => changed(chosen ? Number(chosen) : undefined)),
    ],
    wish: (condition, offered, changed) => {
      const value = { channel: "email", ...(condition.value || {}) };
      const tell = () => changed(value.category ? { channel: value.channel, category: value.category } : { channel: value.channel });
      return [
        select("Channel", offered.channels, value.channel, (chosen) => { value.channel = chosen; tell(); }),
        select("Category", [["", "for everything"], ...offered.categories.map(([slug, name]) => [slug, `for ${name}`])], value.category, (chosen) => { value.category = chosen; tell(); }),
      ];
    },
    engagement: (condition, offered, changed) => {
      const value = { days: 30, ...(condition.value || {}) };
      const of = value.campaign ? `campaign:${value.campaign}` : value.category ? `category:${value.category}` : "";
      const options = [
        ["", "of any kind"],
        ...offered.categories.map(([slug, name]) => [`category:${slug}`, `about ${name}`]),
        ...offered.campaigns.map(([id, name]) => [`campaign:${id}`, `of the campaign ${name}`]),
      ];
      const tell = () => changed({ ...value });
      return [
        days(value.days, offered.days.engagement, (text) => { value.days = text; tell(); }),
        select("Which messages", options, of, (chosen) => {
          delete value.category;
          delete value.campaign;
          const [kind, ...rest] = chosen.split(":");
          if (kind === "category") value.category = rest.join(":");
          if (kind === "campaign") value.campaign = Number(rest[0]);
          tell();
        }),
      ];
    },
  };

  /* What a value is when its operator is chosen anew. */
  const FIRST = {
    nothing: () => undefined, text: () => "", texts: () => [], number: () => "", date: () => "", days: () => 30,
    platform: () => undefined, list: () => undefined, wish: () => ({ channel: "email" }), engagement: () => ({ days: 30 }),
  };

  function listFor(condition) {
    if (condition.field === "locale" || condition.field === "language") return "seg-locales";
    return condition.field === "timezone" ? "seg-timezones" : undefined;
  }

  return { node, select, input, make: (takes, ...rest) => MAKERS[takes](...rest), first: (takes) => FIRST[takes]() };
})();
