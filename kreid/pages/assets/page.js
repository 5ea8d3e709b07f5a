"use strict";
// Data, pictures, theme and chart tips. Text reaches the page through text nodes only, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const { images, queries, entries } = data;
const parsed = new Promise((done) => document.addEventListener("DOMContentLoaded", done));
const KEPT = 120; // decoded sheets, of a few hundred kilobytes each

const $ = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function among(starts, image) { // binary search in where actions, or sheets, start
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= image) low = middle;
    else high = middle;
  }
  return low;
}

const actionOf = (image) => among(data.starts, image); // the number of the action, not its index

const named = (field, image) => images[field].names[images[field].which[image]];
const readable = (role) => role.replaceAll("_", " ").trim() || "unknown role";
const percent = (value) => (value === null ? "–" : (100 * value).toFixed(1));
const brief = (distance) => (Math.abs(distance) < 100 ? distance.toPrecision(3) : distance.toFixed(0));

function describe(image) {
  const jersey = named("jersey", image);
  return data.labelled ? readable(named("role", image)) + (jersey ? ` ${jersey}` : "") : `image ${images.bbox[image]}`;
}

// The gallery of a query: image, distance, and "hit", "miss" (ranked before a hit) or "" for each place.
function galleryOf(query) {
  const start = queries.start[query];
  const stop = queries.start[query + 1];
  const person = images.person[queries.image[query]];
  const base = data.starts[actionOf(queries.image[query])];
  const found = [];
  for (let entry = start; entry < stop; entry++) {
    const image = base + entries.image[entry];
    found.push({ image, distance: entries.distance[entry], kind: data.labelled && images.person[image] === person ? "hit" : "" });
  }
  const beyond = data.labelled && queries.first[query] > found.length; // the list was cut before its first match
  const last = beyond ? found.length : found.findLastIndex((one) => one.kind === "hit");
  found.slice(0, Math.max(last, 0)).forEach((one) => { one.kind ||= "miss"; });
  return found;
}

const sheets = new Map();

function sheet(number) {
  const found = sheets.get(number) ?? load(`sheet-${number}`);
  sheets.delete(number);
  sheets.set(number, found); // the last in the map is the last used
  if (sheets.size > KEPT) sheets.delete(sheets.keys().next().value);
  return found;
}

// An element that is still being parsed holds part of its text; one with a successor holds all.
async function load(id) {
  if (!$(id)?.nextElementSibling) await (document.readyState === "loading" ? parsed : null);
  const stored = $(id);
  if (!stored) return null;
  const image = new Image();
  image.src = `data:image/webp;base64,${stored.textContent}`;
  await image.decode();
  return image;
}

function thumbnail(image, width, height) {
  const sharp = Math.min(window.devicePixelRatio || 1, 3);
  const canvas = make("canvas", { role: "img", "aria-label": describe(image) });
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  sheet(among(data.sheets, image)).then((source) => {
    const [x, y, w, h] = images.box.slice(4 * image, 4 * image + 4);
    const scale = Math.min(canvas.width / w, canvas.height / h);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(source, x, y, w, h, (canvas.width - w * scale) / 2, (canvas.height - h * scale) / 2, w * scale, h * scale);
  });
  return canvas;
}

function picture(one, width, height, below = brief(one.distance)) { // a place of a gallery
  const frame = make("span", { class: "frame" }, thumbnail(one.image, width, height));
  return make("span", { class: `picture ${one.kind}` }, frame, below);
}

// --- Theme ---

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme-name").textContent = theme[0].toUpperCase() + theme.slice(1);
  try { localStorage.setItem("kreid-theme", theme); } catch { /* pages from disk may have no storage */ }
}

function storedTheme() {
  try { return localStorage.getItem("kreid-theme"); } catch { return null; }
}

let theme = THEMES.includes(storedTheme()) ? storedTheme() : "auto";
setTheme(theme);
$("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  setTheme(theme);
});

// --- Charts: a tip for the pointer, and the arrow keys move from mark to mark ---

function showTip(mark) {
  document.querySelector(".mark.on")?.classList.remove("on");
  $("tip").hidden = !mark;
  if (!mark) return;
  mark.classList.add("on");
  $("tip").textContent = mark.dataset.tip + (mark.dataset.search ? " — click or Enter to list" : "");
  const box = (mark.querySelector(".dot, .bar, .paper-dot") ?? mark).getBoundingClientRect();
  const tip = $("tip").getBoundingClientRect();
  const left = Math.min(Math.max(box.left + box.width / 2 - tip.width / 2, 6), window.innerWidth - tip.width - 6);
  $("tip").style.transform = `translate(${left}px, ${Math.max(box.top - tip.height - 8, 6)}px)`;
}

function choose(mark) {
  if (!mark?.dataset.search) return;
  showTip(null);
  searchFor(mark.dataset.search);
  $("list-title").scrollIntoView();
}

for (const chart of document.querySelectorAll(".chart")) {
  const marks = [...chart.querySelectorAll(".mark")];
  chart.addEventListener("pointerover", (event) => showTip(event.target.closest(".mark")));
  chart.addEventListener("pointerleave", () => showTip(null));
  chart.addEventListener("blur", () => showTip(null));
  chart.addEventListener("click", (event) => choose(event.target.closest(".mark")));
  chart.addEventListener("keydown", (event) => {
    const at = marks.findIndex((mark) => mark.classList.contains("on"));
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) showTip(marks[Math.min(Math.max(at + step, 0), marks.length - 1)]);
    else if (event.key === "Enter") choose(marks[at]);
    else if (event.key === "Escape") showTip(null);
    else return;
    event.preventDefault();
  });
}
window.addEventListener("scroll", () => showTip(null), { passive: true });
