// The list of queries: only the rows in sight are in the page, so that ten thousand cost no more than ten.

const SIDE = 3; // rows kept beyond either edge of the window
const PICTURE = { width: 40, height: 64, step: 54 }; // step: with frame and gap
const rows = new Map(); // place in `shown` -> element
const FACTS = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--facts"));
let rowHeight = 0;
let current = 0; // the row that Tab reaches and arrows leave from

function showList() {
  rows.clear();
  $("list").replaceChildren();
  current = 0;
  layOut();
}

function layOut() {
  rowHeight = parseFloat(getComputedStyle($("list")).getPropertyValue("--row"));
  $("list").style.height = `${shown.length * rowHeight}px`;
  render();
}

function render() {
  const top = $("list").getBoundingClientRect().top;
  const first = Math.max(Math.floor(-top / rowHeight) - SIDE, 0);
  const last = Math.min(Math.max(Math.ceil((window.innerHeight - top) / rowHeight), 0) + SIDE, shown.length);
  for (const [place, row] of rows) {
    if ((place < first || place >= last) && !row.contains(document.activeElement)) {
      row.remove();
      rows.delete(place);
    }
  }
  for (let place = first; place < last; place++) if (!rows.has(place)) addRow(place);
  if (!rows.has(current) && last > first) setCurrent(Math.min(first + SIDE, last - 1)); // Tab finds a row wherever one is
}

function addRow(place) {
  const row = makeRow(place);
  rows.set(place, row);
  const after = [...rows.keys()].filter((other) => other > place).sort((a, b) => a - b)[0];
  $("list").insertBefore(row, rows.get(after) ?? null); // in reading order, for Tab and screen readers
}

function makeRow(place) {
  const query = shown[place];
  const image = queries.image[query];
  const gallery = galleryOf(query);
  const facts = make("span", { class: "facts" }, ...factLines(query, image, queries.size[query]));
  const said = [...facts.children].map((line) => line.textContent).join(", ");
  const button = make("button", { type: "button", class: "row", tabindex: place === current ? "0" : "-1", "aria-label": said });
  button.append(make("span", { class: "picture" }, thumbnail(image, 48, 78)), facts, strip(gallery));
  button.addEventListener("click", () => { setCurrent(place); openDetails(place); });
  button.addEventListener("focus", () => setCurrent(place));
  const slot = make("div", { class: "slot", role: "listitem", "aria-posinset": place + 1, "aria-setsize": shown.length }, button);
  slot.style.transform = `translateY(${place * rowHeight}px)`;
  return slot;
}

function factLines(query, image, size) {
  const action = data.actions[actionOf(image)];
  const lines = [make("strong", {}, data.labelled ? describe(image) : `Query ${images.bbox[image]}`)];
  if (data.labelled) lines.push(scoreLine(query), make("span", {}, outcome(query, size)));
  else lines.push(make("span", {}, size > 1 ? `two nearest apart by ${percent(queries.gap[query])} %` : `gallery of ${size}`));
  const place = `query ${images.bbox[image]}, action ${action}, ${images.height[image]} px`;
  lines.push(make("span", {}, data.labelled ? place : `action ${action}, ${images.height[image]} px`));
  return lines;
}

function scoreLine(query) {
  const level = make("i");
  level.style.width = `${100 * (queries.ap[query] ?? 0)}%`;
  return make("span", {}, make("span", { class: "score" }, make("span", { class: "meter" }, level), `AP ${percent(queries.ap[query])} %`));
}

function outcome(query, size) {
  const first = queries.first[query];
  if (!size) return "no gallery to compare it with";
  return first ? `first match at place ${first} of ${size}` : `no match among ${size}`;
}

const narrow = () => window.matchMedia("(max-width: 720px)").matches;

function strip(gallery) {
  const width = $("list").clientWidth - (narrow() ? 22 : 54 + FACTS + 28 + 26);
  const room = Math.max(Math.floor((width + 6) / PICTURE.step), 1);
  const fit = gallery.length > room ? Math.max(room - 1, 1) : room;
  const match = gallery.findIndex((one) => one.kind === "hit");
  const far = match >= fit; // then the first match stands at the end, whatever its place
  const places = gallery.slice(0, far ? Math.max(fit - 1, 1) : fit).map((one) => picture(one, PICTURE.width, PICTURE.height));
  if (far) places.push(more("…"), picture(gallery[match], PICTURE.width, PICTURE.height, `place ${match + 1}`));
  else if (gallery.length > places.length) places.push(more(`+${gallery.length - places.length}`));
  return make("span", { class: "strip" }, ...places);
}

const more = (text) => make("span", { class: "more" }, text);

function setCurrent(place) {
  rows.get(current)?.firstElementChild.setAttribute("tabindex", "-1");
  current = place;
  rows.get(current)?.firstElementChild.setAttribute("tabindex", "0");
}

function focusRow(place) {
  if (place < 0 || place >= shown.length) return;
  const top = $("list").getBoundingClientRect().top + place * rowHeight;
  const tools = document.querySelector(".tools").offsetHeight;
  if (top < tools) window.scrollBy(0, top - tools);
  else if (top + rowHeight > window.innerHeight) window.scrollBy(0, top + rowHeight - window.innerHeight);
  render();
  rows.get(place)?.firstElementChild.focus({ preventScroll: true });
}

$("list").addEventListener("keydown", (event) => {
  const target = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: shown.length - 1 }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  focusRow(target);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select") || $("details").open) return;
  event.preventDefault();
  $("search").focus();
});

let waiting = false;
window.addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; render(); });
}, { passive: true });

let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return render(); // phones resize when their bars hide
  width = window.innerWidth;
  const kept = current;
  showList();
  setCurrent(Math.min(kept, Math.max(shown.length - 1, 0)));
});
