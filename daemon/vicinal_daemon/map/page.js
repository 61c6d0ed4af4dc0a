"use strict";
// Everything is drawn already; this adds what moves: details, search, sorting, folders, arrow keys.
const byId = id => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const canvas = byId("canvas"), details = byId("details"), table = byId("table");
const tiles = [...canvas.querySelectorAll(".tile")];
const rows = [...table.tBodies[0].rows];
const overview = [...details.childNodes];
const fixed = value => value === null ? "not measured" : value.toFixed(2);

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;  // names are text, never markup
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Details: of the tile under the pointer, else of the one that was chosen.
let chosen = null;
function tell(number) {
  if (number === null) return details.replaceChildren(...overview);
  const file = data.files[number];
  const numbers = make("dl");
  data.measures.forEach((measure, i) => numbers.append(make("dt", measure.name), make("dd", fixed(file.values[i]))));
  const parts = [make("h2", file.path, {class: "path"}), make("p", file.about, {class: "of"}), numbers];
  if (file.places.length) {
    const places = make("table"), head = make("tr"), at = current();
    places.append(make("caption", `Least known places (${data.measures[at].name.toLowerCase()})`));
    head.append(make("th", "line"), make("th", data.measures[at].short, {class: "number"}), make("th", "learns from"));
    places.append(head);
    const worst = file.places.filter(place => place.values[at] !== null)
      .sort((a, b) => data.measures[at].sign * (b.values[at] - a.values[at]) || a.line - b.line);
    for (const place of worst) {
      const row = make("tr");
      row.append(make("td", place.line), make("td", fixed(place.values[at]), {class: "number"}), make("td", place.nearest, {class: "path"}));
      places.append(row);
    }
    const ask = make("p", "To see why, in the repository:", {class: "try"});
    ask.append(make("code", (worst[0] || file.places[0]).ask));
    parts.push(places, ask);
  }
  details.replaceChildren(...parts);
}
function choose(number) {
  chosen = number;
  for (const element of [...tiles, ...rows]) {
    if (number !== null && +element.dataset.n === number) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
  }
  tell(number);
}
const numberOf = event => { const at = event.target.closest("[data-n]"); return at ? +at.dataset.n : null; };
for (const area of [canvas, table]) {
  area.addEventListener("pointerover", event => { if (numberOf(event) !== null) tell(numberOf(event)); });
  area.addEventListener("pointerleave", () => tell(chosen));
  area.addEventListener("click", event => { if (numberOf(event) !== null) choose(numberOf(event)); });
}
canvas.addEventListener("focusin", event => {
  if (numberOf(event) === null) return;
  tiles.forEach(tile => { tile.tabIndex = tile === event.target ? 0 : -1; });
  tell(numberOf(event));
});
canvas.addEventListener("focusout", () => tell(chosen));

// Measures: the colours are CSS; what follows them here is the tiles' names and the open details.
const current = () => Math.max(0, data.measures.findIndex(m => m.id === document.querySelector("input[name=measure]:checked").value));
function relabel() {
  const at = current(), measure = data.measures[at];
  for (const element of tiles) {
    const file = data.files[+element.dataset.n];
    element.setAttribute("aria-label", `${file.path}, ${file.about}, ${measure.name.toLowerCase()} ${fixed(file.values[at])}`);
  }
  for (const row of rows) row.querySelector(".swatch").style.setProperty("--swatch", data.files[+row.dataset.n].colours[at] || "var(--none)");
  tell(chosen);
}
document.querySelectorAll("input[name=measure]").forEach(input => input.addEventListener("change", relabel));

// Search.
byId("search").addEventListener("input", event => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hit = data.files.map(file => words.every(word => file.path.toLowerCase().includes(word)));
  canvas.classList.toggle("unmatched", words.length > 0);
  for (const element of tiles) element.classList.toggle("match", hit[+element.dataset.n]);
  for (const row of rows) row.hidden = !hit[+row.dataset.n];
  byId("matches").textContent = words.length ? `${hit.filter(Boolean).length} of ${data.files.length} files` : "";
});

// Sorting; files without a number come last either way.
table.tHead.addEventListener("click", event => {
  const head = event.target.closest("th");
  if (!head) return;
  const column = head.cellIndex, was = head.getAttribute("aria-sort");
  const sign = (was ? was === "ascending" : head.dataset.first === "descending") ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const key = row => { const v = row.cells[column].dataset.v; return v === undefined ? row.cells[column].textContent : v === "" ? NaN : +v; };
  const order = (a, b) => {
    const x = key(a), y = key(b);
    if (typeof x === "string") return sign * (x < y ? -1 : x > y ? 1 : 0);
    return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y) || 0;
  };
  table.tBodies[0].append(...rows.slice().sort(order));
});

// Folders: the one that is shown fills the map; those around it are only its path.
let shown = canvas.querySelector(".folder");
const top_ = shown;
function show(folder) {
  for (const element of canvas.querySelectorAll(".around, .shown")) element.classList.remove("around", "shown");
  shown = folder;
  const path = [];
  for (let at = folder; at; at = at.parentElement.closest(".folder")) path.unshift(at);
  const crumbs = byId("crumbs");
  crumbs.hidden = folder === top_;
  crumbs.replaceChildren();
  if (folder === top_) return;
  for (const at of path) {
    at.classList.add(at === folder ? "shown" : "around");
    if (at === folder) { crumbs.append(make("span", at.dataset.name, {"aria-current": "page"})); continue; }
    const up = make("button", at.dataset.name, {type: "button"});
    up.addEventListener("click", () => show(at));
    crumbs.append(up, "/");
  }
}
canvas.addEventListener("click", event => {
  const name = event.target.closest(".name");
  if (name && name.parentElement !== shown) show(name.parentElement);
});

// Arrow keys go to the nearest tile that lies in that direction.
const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
canvas.addEventListener("keydown", event => {
  const way = ways[event.key], from = event.target.closest(".tile");
  if (!way || !from) return;
  event.preventDefault();
  const centre = tile => { const r = tile.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; };
  const [x, y] = centre(from);
  let best = null, least = Infinity;
  for (const tile of tiles) {
    if (tile === from || !tile.offsetParent) continue;
    const [u, v] = centre(tile), along = (u - x) * way[0] + (v - y) * way[1];
    const aside = Math.abs((u - x) * way[1]) + Math.abs((v - y) * way[0]);
    if (along > 1 && along + 2 * aside < least) { least = along + 2 * aside; best = tile; }
  }
  if (best) best.focus();
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && !event.target.matches("input")) { event.preventDefault(); byId("search").focus(); }
  if (event.key === "Escape" && !event.target.matches("input")) {
    const outer = shown.parentElement.closest(".folder");
    if (outer) show(outer); else choose(null);
  }
});
tiles.forEach((tile, i) => { tile.tabIndex = i ? -1 : 0; });
relabel();
