// One query in full: the chosen pair large, all distances on a line, and the whole gallery.

const SVG = "http://www.w3.org/2000/svg";
let opened = { place: 0, gallery: [], chosen: 0 };

function openDetails(place) {
  const query = shown[place];
  const image = queries.image[query];
  const gallery = galleryOf(query);
  opened = { place, query, gallery, chosen: 0 };
  $("details-title").textContent = data.labelled ? `${describe(image)}, query ${images.bbox[image]}` : `Query ${images.bbox[image]}`;
  const about = [`action ${data.actions[actionOf(image)]}`];
  if (data.labelled) about.unshift(`AP ${percent(queries.ap[query])} %`, outcome(query, queries.size[query]));
  if (named("game", image)) about.push(named("game", image).split("/").at(-1));
  $("details-about").textContent = about.join(" · ");
  $("gallery").replaceChildren(...gallery.map(galleryPlace));
  $("previous").disabled = place === 0;
  $("next").disabled = place === shown.length - 1;
  choosePlace(0);
  if (!$("details").open) $("details").showModal();
  $("gallery").focus({ preventScroll: true });
  for (const section of document.querySelectorAll(".columns, .chosen, .columns > section")) section.scrollTop = 0;
  history.replaceState(null, "", `#query-${images.bbox[image]}`);
}

function galleryPlace(one, place) {
  const node = picture(one, 60, 96);
  const said = { hit: ", same person", miss: ", other person ahead of a match", "": "" }[one.kind];
  const name = `place ${place + 1}: ${describe(one.image)}, distance ${brief(one.distance)}${said}`;
  for (const [key, value] of Object.entries({ role: "option", id: `place-${place}`, title: name, "aria-label": name })) node.setAttribute(key, value);
  node.addEventListener("click", () => choosePlace(place));
  return node;
}

function choosePlace(place) {
  if (place < 0 || place >= opened.gallery.length) {
    if (!opened.gallery.length) showPair(null);
    return;
  }
  $("gallery").children[opened.chosen].setAttribute("aria-selected", "false");
  opened.chosen = place;
  const node = $("gallery").children[place];
  node.setAttribute("aria-selected", "true");
  node.scrollIntoView({ block: "nearest" });
  $("gallery").setAttribute("aria-activedescendant", node.id);
  showPair(opened.gallery[place]);
}

function showPair(one) {
  const image = queries.image[opened.query];
  const sides = [side("Query", image)];
  if (one) sides.push(side(`Place ${opened.chosen + 1} of ${queries.size[opened.query]}`, one.image));
  const verdict = make("p", { class: `verdict ${one?.kind ?? ""}` }, words(one));
  $("pair").replaceChildren(verdict, make("div", { class: "two" }, ...sides));
  $("distances").replaceChildren(...(one ? [distanceLine()] : []));
  showLooks(image, one);
}

// What the network sees in both pictures: one image, the query's tiles in a row and the other's below them.
function showLooks(query, one) {
  $("looks").hidden = !data.looks || !one;
  if ($("looks").hidden) return;
  const pair = `${query}-${one.image}`;
  const { groups, note } = data.looks[pair] ?? { groups: [] };
  const columns = groups.flatMap(([, captions]) => captions).length;
  const source = groups.length ? load(`look-${pair}`) : null;
  let column = 0;
  $("tiles").replaceChildren(...groups.map(([heading, captions]) => {
    const half = (row) => make("div", {}, ...captions.map((caption, place) => tile(source, column + place, columns, row, caption)));
    const group = make("section", {}, make("h3", {}, heading), make("div", { class: "two" }, half(0), half(1)));
    column += captions.length;
    return group;
  }));
  $("looks-about").textContent = groups.length
    ? `Orange makes the two more alike, blue less; the numbers are shares of the cosine similarity of their embeddings. In the other maps light is high; both pictures share a scale. ${note}`
    : "What the network sees is kept for the hardest queries only, beside the first places of their gallery and the first match.";
}

function tile(source, column, columns, row, caption) {
  const canvas = make("canvas", { role: "img", "aria-label": `${caption.replace("\n", " ")}, ${row ? "gallery picture" : "query"}` });
  source.then((image) => {
    canvas.width = image.naturalWidth / columns;
    canvas.height = image.naturalHeight / 2;
    canvas.getContext("2d").drawImage(image, -column * canvas.width, -row * canvas.height);
  });
  return make("figure", {}, canvas, make("figcaption", {}, caption));
}

function words(one) {
  if (!one) return "It has no gallery to be compared with.";
  const apart = `distance ${brief(one.distance)}`;
  if (!data.labelled) return apart[0].toUpperCase() + apart.slice(1);
  if (one.kind === "hit") return `✓ Same person, ${apart}`;
  return one.kind === "miss" ? `✕ Other person, ranked before a match, ${apart}` : `Other person, ${apart}`;
}

function side(name, image) {
  const facts = [["Image", images.bbox[image]], ["Size", `${images.width[image]} × ${images.height[image]} px`]];
  if (data.labelled) facts.push(["Person", images.person[image]]);
  const list = make("dl", {}, ...facts.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, String(value))]));
  const [, , w, h] = images.box.slice(4 * image, 4 * image + 4);
  const scale = Math.min(170 / w, (narrow() ? 170 : 300) / h);
  const node = make("div", {}, make("p", {}, name), thumbnail(image, Math.round(w * scale), Math.round(h * scale)));
  if (data.labelled) node.append(make("p", { class: "who" }, describe(image)));
  node.append(list);
  return node;
}

function draw(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function distanceLine() {
  const { gallery, chosen } = opened;
  const end = narrow() ? 352 : 592; // about as many units as pixels, for the text
  const low = gallery[0].distance;
  const span = gallery.at(-1).distance - low || 1;
  const at = (one) => 8 + ((end - 8) * (one.distance - low)) / span;
  const ticks = gallery.map((one) => draw("line", { class: `tick ${one.kind}`, x1: at(one), x2: at(one), y1: 12, y2: 34 }));
  const x = at(gallery[chosen]);
  const label = "Distances from the query, from nearest to furthest";
  return draw("svg", { viewBox: `0 0 ${end + 8} 56`, role: "img", "aria-label": label },
    draw("line", { class: "grid", x1: 8, x2: end, y1: 34, y2: 34 }), ...ticks,
    draw("path", { class: "pointer", d: `M${x - 5},2h10l-5,8z` }),
    draw("text", { class: "label", x: 8, y: 50 }, `nearest ${brief(low)}`),
    draw("text", { class: "label", x: end, y: 50, "text-anchor": "end" }, `furthest ${brief(gallery.at(-1).distance)}`));
}

function step(by) {
  const place = opened.place + by;
  if (place >= 0 && place < shown.length) openDetails(place);
}

$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => $("details").close());
$("details").addEventListener("click", (event) => { if (event.target === $("details")) $("details").close(); });
$("details").addEventListener("close", () => {
  history.replaceState(null, "", location.pathname + location.search);
  focusRow(opened.place);
});
$("details").addEventListener("keydown", (event) => {
  const keys = {
    ArrowRight: () => choosePlace(opened.chosen + 1),
    ArrowLeft: () => choosePlace(opened.chosen - 1),
    Home: () => choosePlace(0),
    End: () => choosePlace(opened.gallery.length - 1),
    n: () => step(1),
    p: () => step(-1),
  };
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

applySearch();
const wanted = /^#query-(\d+)$/.exec(location.hash);
if (wanted) {
  const place = shown.findIndex((query) => images.bbox[queries.image[query]] === Number(wanted[1]));
  if (place >= 0) openDetails(place);
}
