// The search page: one form, one list. Everything it shows comes from the HTTP API and goes in as text, never as HTML.
const $ = (id) => document.getElementById(id);
const state = { upload: null, similarTo: null, cursor: null, turn: 0 };
const NOTHING = { results: [], next_cursor: null, total: { value: 0, relation: "eq" }, facets: null };
const MOST_CHIPS = 12;
const KEPT = { q: "text", with: "label", without: "no-label" };

async function api(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is `kindred serve` still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `The server answered ${answer.status}.`);
  return body;
}

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", bad);
}

function query() {
  const terms = [];
  const text = $("text").value.trim();
  if (text) terms.push({ text });
  if (state.upload) terms.push({ upload_id: state.upload });
  return terms;
}

function request(cursor) {
  const [label, without] = [$("label").value, $("no-label").value];
  if (state.similarTo) {
    const parameters = new URLSearchParams({ limit: 30, facets: true });
    if (label) parameters.set("label", label);
    if (without) parameters.set("no_label", without);
    if (cursor) parameters.set("cursor", cursor);
    return api(`v1/images/${state.similarTo}/similar?${parameters}`);
  }
  const filter = { labels: { all: label ? [label] : [], none: without ? [without] : [] } };
  return api("v1/search", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query: query(), filter, limit: 30, cursor, facets: true }),
  });
}

async function search(cursor = null) {
  const turn = ++state.turn;
  remember();
  $("results").setAttribute("aria-busy", "true");
  if (!cursor) say("Searching …");
  try {
    const answer = await request(cursor);
    if (turn !== state.turn) return; // a newer search has begun
    show(answer, Boolean(cursor));
  } catch (error) {
    if (turn !== state.turn) return;
    if (!cursor) show(NOTHING, false); // not the hits of another query
    say(error.message, true);
  } finally {
    if (turn === state.turn) $("results").removeAttribute("aria-busy");
  }
}

function show(answer, append) {
  const cards = answer.results.map(card);
  if (append) $("results").append(...cards);
  else $("results").replaceChildren(...cards);
  state.cursor = answer.next_cursor;
  $("more").hidden = !answer.next_cursor;
  if (!append) showChips(answer.facets?.labels ?? []);
  const count = $("results").children.length;
  const total = `${answer.total.relation === "gte" ? "at least " : ""}${answer.total.value}`;
  say(count ? `${count} of ${total}, ${searchedBy()}` : "Nothing found. Try other words or fewer filters.");
}

function searchedBy() {
  const text = $("text").value.trim();
  const image = $("chosen").hidden ? "" : $("chosen-name").textContent;
  if (state.similarTo) return `most like ${image} first`;
  if (!text && !image) return "newest first";
  return `best for ${[text && `“${text}”`, image].filter(Boolean).join(" and ")} first`;
}

// What the results show, counted: a click narrows them to a label, another one widens them again.
function showChips(labels) {
  const chosen = $("label").value;
  $("chips").replaceChildren(...labels.slice(0, MOST_CHIPS).map((label) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.textContent = `${label.class} ${label.images}`;
    chip.title = `${label.images} images with ${label.class}, ${label.boxes} boxes`;
    chip.setAttribute("aria-pressed", label.class === chosen);
    chip.addEventListener("click", () => {
      $("label").value = label.class === chosen ? "" : label.class;
      search();
    });
    return chip;
  }));
  $("chips").hidden = labels.length === 0;
}

// Words and filters stay in the address: a search can be reloaded and kept.
function remember() {
  const kept = new URLSearchParams();
  for (const [name, id] of Object.entries(KEPT)) if ($(id).value.trim()) kept.set(name, $(id).value.trim());
  history.replaceState(null, "", kept.size ? `?${kept}` : "./");
}

function recall() {
  const kept = new URLSearchParams(location.search);
  for (const [name, id] of Object.entries(KEPT)) {
    if (!kept.has(name)) continue;
    $(id).value = kept.get(name);
    if ($(id).selectedIndex === -1) $(id).selectedIndex = 0; // a label that the gallery has lost
  }
  search();
}

function card(hit) {
  const item = $("card").content.cloneNode(true).firstElementChild;
  const find = (selector) => item.querySelector(selector);
  const classes = [...new Set(hit.labels.map((label) => label.class))];
  const name = hit.file_name || hit.id.slice(0, 12);
  find(".picture").href = hit.urls.file;
  const image = find("img");
  image.alt = `${name}${classes.length ? `, with ${classes.join(", ")}` : ""}`;
  image.addEventListener("error", () => image.classList.add("missing"));
  new ResizeObserver(() => drawBoxes(find(".boxes"), image, hit)).observe(image); // its size is known once it loads
  image.src = hit.urls.thumb;
  find(".score").textContent = hit.score?.toFixed(3);
  find(".score").hidden = hit.score === null;
  find(".name").textContent = name;
  find(".name").title = name;
  find(".labels").textContent = classes.join(" · ") || "no labels";
  find(".similar").setAttribute("aria-label", `Images similar to ${name}`);
  find(".similar").addEventListener("click", () => {
    forget();
    $("text").value = "";
    state.similarTo = hit.id;
    choseImage(hit.urls.thumb, name);
    scrollTo({ top: 0 });
    search();
  });
  return item;
}

function drawBoxes(layer, image, hit) {
  layer.style.width = `${image.clientWidth}px`;
  layer.style.height = `${image.clientHeight}px`;
  layer.replaceChildren(...[...hit.labels].reverse().map((label) => { // the most certain one on top
    const [x, y, w, h] = label.bbox;
    const box = document.createElement("i");
    box.classList.toggle("end", x > hit.width / 2); // its name would run out of the picture
    box.dataset.name = `${label.class} ${label.score.toFixed(2)}`;
    box.style.left = `${(100 * x) / hit.width}%`;
    box.style.top = `${(100 * y) / hit.height}%`;
    box.style.width = `${(100 * w) / hit.width}%`;
    box.style.height = `${(100 * h) / hit.height}%`;
    return box;
  }));
}

async function choose(file) {
  if (!file) return;
  const turn = ++state.turn;
  say("Sending the image …");
  const body = new FormData();
  body.append("file", file);
  try {
    const answer = await api("v1/uploads", { method: "POST", body });
    if (turn !== state.turn) return;
    forget();
    state.upload = answer.upload_id;
    choseImage(URL.createObjectURL(file), file.name || "the pasted image");
    search();
  } catch (error) {
    if (turn === state.turn) say(error.message, true);
  }
}

function choseImage(source, name) {
  $("chosen-image").src = source;
  $("chosen-name").textContent = name;
  $("chosen").hidden = false;
}

function forget() {
  if (state.upload) URL.revokeObjectURL($("chosen-image").src);
  state.upload = state.similarTo = null;
  $("chosen").hidden = true;
  $("file").value = "";
}

async function fillLabels() {
  try {
    const { labels } = await api("v1/labels");
    for (const label of labels) {
      const text = `${label.class} (${label.images})`;
      $("label").add(new Option(text, label.class));
      $("no-label").add(new Option(text, label.class));
    }
    await start();
  } catch (error) {
    say(error.message, true);
  }
}

async function start() {
  const { images } = await api("v1/status");
  if (images.indexed) recall();
  else say("The gallery is empty. Index a folder: kindred index ~/Pictures");
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.similarTo) forget();
  search();
});
for (const id of ["label", "no-label"]) $(id).addEventListener("change", () => search());
$("more").addEventListener("click", () => search(state.cursor));
$("file").addEventListener("change", (event) => choose(event.target.files[0]));
$("chosen-remove").addEventListener("click", () => {
  forget();
  search();
});
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((item) => item.type.startsWith("image/"));
  if (file) choose(file);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  choose(event.dataTransfer.files[0]);
});
fillLabels();
