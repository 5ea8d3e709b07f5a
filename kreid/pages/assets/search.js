// What the list shows and in which order.

const FIELDS = {
  query: (q) => images.bbox[queries.image[q]],
  action: (q) => data.actions[actionOf(queries.image[q])],
  person: (q) => images.person[queries.image[q]],
  height: (q) => images.height[queries.image[q]],
  gallery: (q) => queries.size[q],
  first: (q) => queries.first?.[q] ?? null,
  ap: (q) => (queries.ap?.[q] == null ? null : 100 * queries.ap[q]),
};
const TEXTS = ["role", "jersey", "game"];
const plain = (text) => text.toLowerCase().replaceAll("_", " ");

// Turns what was typed into tests of a query: words, numbers, key:text, key:"exact text", key:low-high.
function readSearch(typed) {
  const found = [];
  for (const [, key, exact, value] of typed.matchAll(/(?:([a-z]+):)?(?:"([^"]*)"|([^\s"]+))/gi)) {
    found.push(oneTest(key?.toLowerCase(), exact, plain(value ?? exact)));
  }
  return (query) => found.every((fits) => fits(query));
}

function oneTest(key, exact, value) {
  if (key in FIELDS) return inRange(FIELDS[key], key === "ap", value);
  const numbers = /^\d+$/.test(value) && !key;
  const fits = (text) => {
    const have = plain(text).replaceAll('"', "");
    return exact !== undefined && key !== "game" ? have === value : have.includes(value);
  };
  const keys = TEXTS.includes(key) ? [key] : TEXTS;
  if (key && !TEXTS.includes(key)) value = `${key}:${value}`; // such as a clock time
  return (query) => {
    const image = queries.image[query];
    if (!numbers) return keys.some((name) => fits(named(name, image)));
    const number = Number(value);
    return ["query", "action", "person"].some((name) => FIELDS[name](query) === number) || named("jersey", image) === value;
  };
}

function inRange(field, halfOpen, value) {
  const [, low, high] = /^([\d.]+)(?:-([\d.]+))?$/.exec(value) ?? [];
  const least = Number(low);
  const most = Number(high ?? low);
  return (query) => {
    const number = field(query);
    if (number === null) return false;
    // Ranges of average precision border on each other: what lies on a border counts in the upper one.
    return number >= least - 1e-7 && (halfOpen && high !== undefined && most < 100 ? number < most - 1e-7 : number <= most);
  };
}

const OUTCOMES = {
  all: () => true,
  missed: (q) => queries.first[q] > 1,
  found: (q) => queries.first[q] === 1,
  none: (q) => queries.first[q] === 0,
};
const ORDERS = {
  ap: (q) => q, // the order in which they are stored
  first: (q) => -queries.first[q],
  gap: (q) => queries.gap[q] ?? Infinity,
  action: (q) => queries.image[q], // images stand by action
  gallery: (q) => -FIELDS.gallery(q),
  height: (q) => FIELDS.height(q),
};

if (!data.labelled) {
  for (const value of ["ap", "first"]) document.querySelector(`#order option[value=${value}]`).remove();
  $("outcome").closest("label").remove();
  document.querySelector(".legend").remove();
  $("search").placeholder = "Search: action:17, height:40-60 …";
} else if (!queries.first.includes(0)) {
  document.querySelector("#outcome option[value=none]").remove();
}

let shown = [];

function applySearch() {
  const outcome = OUTCOMES[$("outcome")?.value ?? "all"];
  const fits = readSearch($("search").value);
  const key = ORDERS[$("order").value];
  shown = Array.from(queries.image.keys()).filter((query) => outcome(query) && fits(query));
  shown.sort((one, other) => key(one) - key(other) || one - other);
  if ($("reverse").getAttribute("aria-pressed") === "true") shown.reverse();
  const all = queries.image.length;
  $("found").textContent = shown.length === all ? `${all.toLocaleString("en")} queries` : `${shown.length.toLocaleString("en")} of ${all.toLocaleString("en")}`;
  $("nothing").hidden = shown.length > 0;
  showList();
}

function searchFor(typed) {
  $("search").value = typed;
  if ($("outcome")) $("outcome").value = "all";
  applySearch();
}

$("search").addEventListener("input", applySearch);
$("order").addEventListener("change", applySearch);
$("outcome")?.addEventListener("change", applySearch);
$("reverse").addEventListener("click", () => {
  const pressed = $("reverse").getAttribute("aria-pressed") === "true";
  $("reverse").setAttribute("aria-pressed", String(!pressed));
  applySearch();
});
$("clear").addEventListener("click", () => { searchFor(""); $("search").focus(); });
