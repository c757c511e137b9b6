"use strict";

/* The builder of a segment: groups of conditions, a live count of who meets them, and the JSON that is saved. */
(() => {
  const { node, select, input, make, first } = window.CarillonSegments;
  const PAUSE_MS = 350;
  const MAX_DEPTH = 5;
  const KINDS = [["all", "all of these"], ["any", "any of these"], ["none", "none of these"]];

  // The admin loads a form's scripts in the head of its page.
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-segment-builder]").forEach(start));

  function start(root) {
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    const offered = JSON.parse(document.getElementById(root.dataset.offered).textContent);
    const fields = new Map(offered.fields.map((field) => [field.name, field]));
    const text = document.getElementById(root.dataset.field);
    let tree = read(text.value) || { kind: "all", items: [] };
    let timer = 0;
    let asking = null;

    root.append(suggestions("seg-keys", offered.keys), suggestions("seg-locales", offered.locales), suggestions("seg-timezones", offered.timezones));
    part("json").open = false;
    part("tree").hidden = part("side").hidden = false;
    root.classList.add("seg-on");
    text.addEventListener("change", fromText);
    draw();
    ask();

    /* --- from JSON and back ----------------------------------------------------------------------------------- */

    function read(json) {
      let given;
      try {
        given = JSON.parse(json.trim() || "{}");
      } catch {
        return null;
      }
      if (given === null) given = {};
      if (typeof given !== "object" || Array.isArray(given)) return null;
      if (!Object.keys(given).length) return { kind: "all", items: [] };
      const made = fromNode(given);
      return made && made.items ? made : made && { kind: "all", items: [made] };
    }

    function fromNode(given) {
      if (given === null) given = {};
      if (typeof given !== "object") return null;
      if ("field" in given) {
        const name = String(given.field);
        const isAttribute = name.startsWith("attributes.");
        return { field: isAttribute ? "attributes" : name, key: isAttribute ? name.slice(11) : "", op: given.op, value: given.value };
      }
      const kind = KINDS.map(([name]) => name).find((name) => Array.isArray(given[name]));
      return kind ? { kind, items: given[kind].map(fromNode).filter(Boolean) } : null;
    }

    function toNode(one) {
      if (one.items) return { [one.kind]: one.items.map(toNode) };
      const made = { field: one.field === "attributes" ? `attributes.${one.key}` : one.field, op: one.op };
      if (one.value !== undefined) made.value = one.value;
      return made;
    }

    function definition() {
      return tree.items.length ? toNode(tree) : {};
    }

    function fromText() {
      const made = read(text.value);
      const told = part("malformed");
      told.hidden = made !== null;
      told.textContent = made === null ? "This is not a definition in JSON, so the conditions above are still the old ones." : "";
      if (made === null) return;
      tree = made;
      draw();
      ask();
    }

    /* Something was edited: keep it, and ask when nobody has typed for a moment. */
    function changed() {
      text.value = JSON.stringify(definition(), null, 2);
      part("malformed").hidden = true;
      text.dispatchEvent(new Event("input", { bubbles: true }));
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE_MS);
    }

    function redraw(focus) {
      draw();
      changed();
      const target = focus && root.querySelector(`[data-at="${focus}"] .seg-control`);
      if (target) target.focus();
    }

    /* --- drawing ---------------------------------------------------------------------------------------------- */

    function draw() {
      part("tree").replaceChildren(group(tree, "", null, 1));
    }

    function group(one, at, parent, depth) {
      const inside = `${at}/${one.kind}`;
      const items = one.items.map((item, position) => {
        const where = `${inside}/${position}`;
        return node("li", {}, item.items ? group(item, where, one, depth + 1) : condition(item, where, one));
      });
      const kind = select("How the conditions go together", KINDS, one.kind, (chosen) => {
        one.kind = chosen;
        redraw(at);
      });
      const head = node("div", { class: "seg-head" }, node("span", {}, depth === 1 ? "People who meet" : "who meet"), kind);
      if (parent) head.append(remover("Remove this group", one, parent, at));
      const box = node("div", { class: "seg-group", role: "group", "aria-label": depth === 1 ? "Conditions" : "A group of conditions", "data-at": at }, head);
      if (!items.length && depth === 1) box.append(node("p", { class: "seg-empty" }, "Everyone. Add a condition to narrow it down."));
      box.append(node("ul", { class: "seg-items", "data-kind": one.kind }, ...items));
      box.append(node("p", { class: "cr-field-error seg-error", role: "alert", hidden: true }));
      box.append(
        node("div", { class: "seg-buttons" },
          adder("Add a condition", "add", () => {
            one.items.push(fresh());
            redraw(`${inside}/${one.items.length - 1}`);
          }),
          depth < MAX_DEPTH
            ? adder("Add a group", "account_tree", () => {
                one.items.push({ kind: one.kind === "all" ? "any" : "all", items: [fresh()] });
                redraw(`${inside}/${one.items.length - 1}`);
              })
            : null,
        ),
      );
      return box;
    }

    function fresh() {
      return { field: "language", key: "", op: "is", value: "" };
    }

    function adder(label, icon, act) {
      return node("button", { type: "button", class: "cr-button seg-add", onclick: act }, symbol(icon), label);
    }

    function symbol(icon) {
      return node("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, icon);
    }

    function remover(label, one, parent, at) {
      return node("button", {
        type: "button", class: "seg-remove", "aria-label": label, title: label,
        onclick: () => {
          parent.items.splice(parent.items.indexOf(one), 1);
          redraw(at.replace(/\/[^/]+\/\d+$/, ""));
        },
      }, symbol("close"));
    }

    /* What is chosen rebuilds only what stands behind it: whoever goes through a menu by keyboard stays in it. */
    function condition(one, at, parent) {
      const behind = node("span", { class: "seg-part" });
      const value = node("span", { class: "seg-part" });

      function drawValue() {
        const kind = takes(fields.get(one.field), one.op);
        value.replaceChildren(...(kind ? make(kind, one, offered, (given) => { one.value = given; changed(); }) : []));
      }

      function drawBehind() {
        const field = fields.get(one.field);
        behind.replaceChildren();
        if (!field) return;
        if (one.field === "attributes") {
          behind.append(input("Name of the attribute", "text", one.key, (key) => { one.key = key.trim(); changed(); }, { list: "seg-keys", maxlength: 64, placeholder: "name, as plan" }));
        }
        behind.append(select("How to compare", field.ops.map((op) => [op.name, words(op)]), one.op, (chosen) => {
          const before = takes(field, one.op);
          one.op = chosen;
          if (takes(field, chosen) !== before) one.value = first(takes(field, chosen));
          drawValue();
          changed();
        }), value);
        drawValue();
      }

      drawBehind();
      const controls = node("div", { class: "seg-controls" }, fieldMenu(one, drawBehind), behind, remover("Remove this condition", one, parent, at));
      return node("div", { class: "seg-condition", "data-at": at }, controls, node("p", { class: "cr-field-error seg-error", role: "alert", hidden: true }));
    }

    function takes(field, name) {
      return (field.ops.find((op) => op.name === name) || {}).takes;
    }

    function words(op) {
      return op.label.replace(" … days", "");
    }

    function fieldMenu(one, drawBehind) {
      const menu = node("select", { class: "seg-control seg-field", "aria-label": "What is asked" });
      for (const about of new Set(offered.fields.map((field) => field.about))) {
        const inside = offered.fields.filter((field) => field.about === about);
        const options = inside.map((field) => node("option", { value: field.name }, field.label));
        menu.append(node("optgroup", { label: about }, ...options));
      }
      menu.value = one.field;
      menu.addEventListener("change", () => {
        const field = fields.get(menu.value);
        const before = fields.get(one.field);
        const kept = before && field.ops.find((op) => op.name === one.op && op.takes === takes(before, one.op));
        one.field = menu.value;
        if (!kept) {
          one.op = field.ops[0].name;
          one.value = first(field.ops[0].takes);
        }
        drawBehind();
        changed();
      });
      return menu;
    }

    function suggestions(id, values) {
      return node("datalist", { id }, ...values.map((value) => node("option", { value })));
    }

    /* --- the count -------------------------------------------------------------------------------------------- */

    async function ask() {
      if (asking) asking.abort();
      const mine = (asking = new AbortController());
      root.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(root.dataset.url + segmentId(), {
          method: "POST",
          signal: mine.signal,
          headers: { "Content-Type": "application/json", "X-CSRFToken": root.closest("form").querySelector("[name=csrfmiddlewaretoken]").value },
          body: JSON.stringify(definition()),
        });
        if (answer.status !== 200) throw new Error(String(answer.status));
        show(await answer.json());
      } catch (error) {
        if (error.name !== "AbortError") unknown("It can't be counted at the moment. Your conditions are kept.");
      } finally {
        if (asking === mine) root.removeAttribute("aria-busy");
      }
    }

    function segmentId() {
      const found = location.pathname.match(/\/segment\/(\d+)\/change\//);
      return found ? `?segment=${found[1]}` : "";
    }

    function show(answer) {
      root.querySelectorAll(".seg-error").forEach((told) => { told.hidden = true; });
      root.querySelectorAll(".seg-wrong").forEach((box) => box.classList.remove("seg-wrong"));
      if (answer.errors) {
        answer.errors.forEach(point);
        unknown("It is counted as soon as the marked condition is complete.");
        return;
      }
      part("count").textContent = `${answer.words} ${answer.people === 1 ? "person" : "people"}`;
      part("note").textContent = answer.is_exact ? "Counted just now." : "An estimate: the exact count would take too long to wait for.";
      const people = answer.sample || [];
      part("sample").hidden = !people.length;
      part("people").replaceChildren(...people.map(person));
    }

    function person(one) {
      const about = [one.name, one.locale].filter(Boolean).join(", ");
      return node("li", {}, node("a", { class: "cr-link", href: one.url, target: "_blank", rel: "noopener" }, one.external_id), about ? node("span", {}, about) : null);
    }

    function unknown(why) {
      part("count").textContent = "–";
      part("note").textContent = why;
      part("sample").hidden = true;
    }

    /* An error stands at the innermost condition or group that its pointer leads to. */
    function point(error) {
      let at = error.at;
      let box = null;
      while (!(box = root.querySelector(`[data-at="${CSS.escape(at)}"]`)) && at) at = at.replace(/\/[^/]*$/, "");
      if (!box) return;
      const told = box.querySelector(":scope > .seg-error");
      told.textContent = error.message;
      told.hidden = false;
      box.classList.add("seg-wrong");
    }
  }
})();
