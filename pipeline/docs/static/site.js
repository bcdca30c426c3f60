// Search over all models and columns, the lineage's highlights, and a button that copies SQL.
"use strict";

const root = document.documentElement.dataset.root;

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

// --- search ---------------------------------------------------------------------------------

const MOST_FOUND = 40;
const field = document.getElementById("search");
const list = document.getElementById("found");
let found = [];
let chosen = 0;

/** How well an entry fits: 0 is best; Infinity if it lacks a word. */
function distance(entry, words) {
  const name = entry.name.toLowerCase();
  const rest = `${name} ${entry.page} ${entry.type} ${entry.description}`.toLowerCase();
  if (!words.every((word) => rest.includes(word))) return Infinity;
  if (name === words.join("_")) return 0;
  if (name.startsWith(words[0])) return 1;
  return words.every((word) => name.includes(word)) ? 2 : 3;
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  return COLUMNS.map((entry) => [distance(entry, words), entry])
    .filter(([far]) => far < Infinity)
    .sort(([a], [b]) => a - b)
    .map(([, entry]) => entry);
}

function marked(text, words) {
  const lower = text.toLowerCase();
  const word = words.find((each) => lower.includes(each));
  if (!word) return [text];
  const at = lower.indexOf(word);
  const end = at + word.length;
  return [text.slice(0, at), element("mark", "", text.slice(at, end)), text.slice(end)];
}

function option(entry, index, words) {
  const where = entry.anchor ? entry.page : entry.type;
  const name = element("span", "name", ...marked(entry.name, words));
  const made = element("li", "", element("span", "where", where), name);
  if (entry.sensitive) made.append(" ", element("span", "sensitive", "sensitive"));
  made.append(element("span", "meaning", entry.description));
  made.id = `found-${index}`;
  made.setAttribute("role", "option");
  made.addEventListener("mousedown", (event) => event.preventDefault());
  made.addEventListener("click", () => open(entry));
  return made;
}

function choose(index) {
  list.children[chosen]?.setAttribute("aria-selected", "false");
  chosen = Math.max(0, Math.min(index, found.length - 1));
  const now = list.children[chosen];
  now.setAttribute("aria-selected", "true");
  now.scrollIntoView({ block: "nearest" });
  field.setAttribute("aria-activedescendant", now.id);
}

function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = search(field.value);
  found = all.slice(0, MOST_FOUND);
  list.replaceChildren(...found.map((entry, index) => option(entry, index, words)));
  if (words.length && !found.length) list.append(element("li", "none", "Nothing is called so."));
  if (all.length > found.length) {
    list.append(element("li", "none", `${all.length - found.length} more: type on.`));
  }
  list.hidden = !words.length;
  field.setAttribute("aria-expanded", String(!list.hidden));
  field.removeAttribute("aria-activedescendant");
  if (found.length) choose(0);
}

function hide() {
  list.hidden = true;
  field.setAttribute("aria-expanded", "false");
}

function open(entry) {
  const anchor = entry.anchor && `#${encodeURIComponent(entry.anchor)}`;
  field.blur();
  location.href = root + encodeURI(entry.path) + anchor;
}

field.addEventListener("input", show);
field.addEventListener("focus", show);
field.addEventListener("blur", hide);
field.addEventListener("keydown", (event) => {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key in steps && found.length) choose(chosen + steps[event.key]);
  else if (event.key === "Enter" && found.length && !list.hidden) open(found[chosen]);
  else if (event.key === "Escape") field.blur();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  field.focus();
  field.select();
});
document.querySelector(".search").hidden = false;

// --- lineage --------------------------------------------------------------------------------

/** All names reached from a name along the edges, in one direction. */
function reached(name, edges, from, to) {
  const names = new Set([name]);
  for (const each of names) {
    for (const edge of edges) if (edge.dataset[from] === each) names.add(edge.dataset[to]);
  }
  return names;
}

/** Scroll a box into the middle of a picture that is wider than the screen. */
function centre(scroll, box) {
  if (!box) return;
  const [outer, inner] = [scroll.getBoundingClientRect(), box.getBoundingClientRect()];
  scroll.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
}

function lineage(figure) {
  const edges = [...figure.querySelectorAll(".edges path")];
  const boxes = [...figure.querySelectorAll(".box")];
  const caption = figure.querySelector(".picked");
  const hint = caption.textContent;

  function clear() {
    figure.classList.remove("picking");
    for (const each of [...boxes, ...edges]) each.classList.remove("picked", "near");
    caption.replaceChildren(hint);
  }

  function pick(box) {
    clear();
    const up = reached(box.dataset.name, edges, "to", "from");
    const down = reached(box.dataset.name, edges, "from", "to");
    figure.classList.add("picking");
    box.classList.add("picked");
    for (const each of boxes) {
      each.classList.toggle("near", up.has(each.dataset.name) || down.has(each.dataset.name));
    }
    for (const { dataset, classList } of edges) {
      const isUp = up.has(dataset.from) && up.has(dataset.to);
      classList.toggle("near", isUp || (down.has(dataset.from) && down.has(dataset.to)));
    }
    const link = element("a", "name", box.dataset.name);
    link.href = box.getAttribute("href");
    caption.replaceChildren(link, ` ${box.dataset.summary}`);
  }

  figure.addEventListener("click", (event) => {
    const box = event.target.closest(".box");
    if (!box && event.target.closest("svg")) clear();
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (!box || box.classList.contains("picked") || !isPlain) return;
    event.preventDefault();
    pick(box);
  });
  figure.addEventListener("keydown", (event) => event.key === "Escape" && clear());
  centre(figure.querySelector(".scroll"), figure.querySelector(".current"));
}

document.querySelectorAll(".lineage").forEach(lineage);

// --- A column's way -------------------------------------------------------------------------

/** All columns reached from some columns along one kind of step, or both. */
function columnsFrom(starts, steps, kinds) {
  const names = new Set(starts);
  for (const name of names) {
    for (const kind of kinds) for (const next of steps.get(name)?.[kind] ?? []) names.add(next);
  }
  return names;
}

const VALUE = 0;
const DECIDES = 1;
const madeOf = new Map(Object.entries(LINEAGE));
const goesInto = new Map();
for (const [name, kinds] of madeOf) {
  kinds.forEach((origins, kind) => {
    for (const origin of origins) {
      if (!goesInto.has(origin)) goesInto.set(origin, [[], []]);
      goesInto.get(origin)[kind].push(name);
    }
  });
}

/** The columns on the way through one, up and down: those of value, and all. */
function way(name) {
  const isPart = (each) => each === name || each.startsWith(`${name}.`) || each.startsWith(`${name}[`);
  const starts = [name, ...[...goesInto.keys()].filter(isPart)];
  const both = (kinds) =>
    new Set([...columnsFrom(starts, madeOf, kinds), ...columnsFrom(starts, goesInto, kinds)]);
  return [both([VALUE]), both([VALUE, DECIDES])];
}

const tableOf = (name) => name.split(".", 1)[0];
const columnOf = (name) => name.slice(tableOf(name).length + 1);

/** A picture and a line of words below the page that show the way of the column pointed at. */
function ways(figure, rows) {
  const table = figure.querySelector(".box.current").dataset.name;
  const svg = figure.querySelector("svg").cloneNode(true);
  svg.removeAttribute("style");
  const words = element("p", "words");
  const close = element("button", "copy", "Close");
  const panel = element("aside", "lineage way picking", svg, words, close);
  panel.setAttribute("aria-live", "polite");
  const boxes = [...panel.querySelectorAll(".box")];
  const edges = [...panel.querySelectorAll(".edges path")];
  let pinned = null;

  function show(row) {
    const column = row.id.replace(/^column-/, "");
    const [value, all] = way(`${table}.${column}`);
    const tables = [value, all].map((names) => new Set([...names].map(tableOf)));
    const steps = [new Set(), new Set()];
    for (const [name, kinds] of madeOf) {
      if (!all.has(name)) continue;
      kinds.forEach((origins, kind) => {
        for (const origin of origins) {
          if (!all.has(origin)) continue;
          const isValue = kind === VALUE && value.has(origin) && value.has(name);
          steps[isValue ? VALUE : DECIDES].add(`${tableOf(origin)} ${tableOf(name)}`);
        }
      });
    }
    for (const each of boxes) {
      each.classList.toggle("near", tables[VALUE].has(each.dataset.name));
      each.classList.toggle("deciding", tables[DECIDES].has(each.dataset.name));
    }
    for (const { dataset, classList } of edges) {
      const step = `${dataset.from} ${dataset.to}`;
      classList.toggle("near", steps[VALUE].has(step));
      classList.toggle("deciding", steps[DECIDES].has(step));
    }
    words.replaceChildren(...told(column, value, all));
    // an element that appears must not come between the pointer and the row
    panel.classList.toggle("pinned", pinned === row);
    if (!panel.isConnected) document.body.append(panel);
  }

  function told(column, value, all) {
    const stops = boxes
      .map((box) => box.dataset.name)
      .map((name) => [name, [...value].filter((each) => tableOf(each) === name).map(columnOf)])
      .filter(([, columns]) => columns.length);
    const parts = stops.flatMap(([name, columns], index) => [
      index ? " → " : "",
      element("span", name === table ? "name here" : "name", `${name}.`, columns.join(", ")),
    ]);
    const others = all.size - value.size;
    const rest = others ? ` Paler: where ${others} other columns only decide, or are decided.` : "";
    return stops.length > 1
      ? [...parts, element("span", "quiet", rest)]
      : [element("span", "name here", column), ` is made of no value of another column.${rest}`];
  }

  function hide() {
    pinned = null;
    panel.remove();
  }

  for (const row of rows) {
    row.addEventListener("mouseenter", () => pinned || show(row));
    row.addEventListener("mouseleave", () => pinned || hide());
    row.addEventListener("click", (event) => {
      if (event.target.closest("a:not(.name)") || getSelection().toString()) return;
      const again = pinned === row;
      hide();
      if (again) return;
      pinned = row;
      show(row);
    });
  }
  close.addEventListener("click", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  const target = rows.find((row) => `#${encodeURIComponent(row.id)}` === location.hash);
  if (target) {
    pinned = target;
    show(target);
  }
}

const picture = document.querySelector(".lineage .box.current")?.closest(".lineage");
if (picture) ways(picture, [...document.querySelectorAll(".columns tbody tr")]);

// --- SQL ------------------------------------------------------------------------------------

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
  });
}
