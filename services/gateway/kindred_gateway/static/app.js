// The search page: one form, one list. Everything it shows comes from the HTTP API and goes in as text, never as HTML.
const $ = (id) => document.getElementById(id);
const state = { upload: null, similarTo: null, cursor: null, turn: 0 };

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
    const parameters = new URLSearchParams({ limit: 30 });
    if (label) parameters.set("label", label);
    if (without) parameters.set("no_label", without);
    if (cursor) parameters.set("cursor", cursor);
    return api(`v1/images/${state.similarTo}/similar?${parameters}`);
  }
  const filter = { labels: { all: label ? [label] : [], none: without ? [without] : [] } };
  return api("v1/search", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query: query(), filter, limit: 30, cursor }),
  });
}

async function search(cursor = null) {
  if (!state.similarTo && query().length === 0) return say("Type what you look for, or drop an image here.");
  const turn = ++state.turn;
  $("results").setAttribute("aria-busy", "true");
  if (!cursor) say("Searching …");
  try {
    const answer = await request(cursor);
    if (turn !== state.turn) return; // a newer search has begun
    show(answer, Boolean(cursor));
  } catch (error) {
    if (turn === state.turn) say(error.message, true);
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
  const count = $("results").children.length;
  const total = `${answer.total.relation === "gte" ? "at least " : ""}${answer.total.value}`;
  const what = state.similarTo ? "Images like the chosen one: " : "";
  say(count ? `${what}${count} of ${total}` : "Nothing found. Try other words or fewer filters.");
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
  find(".score").textContent = hit.score.toFixed(3);
  find(".name").textContent = name;
  find(".name").title = name;
  find(".labels").textContent = classes.join(" · ") || "no labels";
  find(".similar").setAttribute("aria-label", `Images similar to ${name}`);
  find(".similar").addEventListener("click", () => {
    state.similarTo = hit.id;
    scrollTo({ top: 0 });
    search();
  });
  return item;
}

function drawBoxes(layer, image, hit) {
  layer.style.width = `${image.clientWidth}px`;
  layer.style.height = `${image.clientHeight}px`;
  layer.replaceChildren(...hit.labels.map((label) => {
    const [x, y, w, h] = label.bbox;
    const box = document.createElement("i");
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
    state.similarTo = null;
    $("chosen-image").src = URL.createObjectURL(file);
    $("chosen-name").textContent = file.name || "pasted image";
    $("chosen").hidden = false;
    search();
  } catch (error) {
    if (turn === state.turn) say(error.message, true);
  }
}

function forget() {
  if (state.upload) URL.revokeObjectURL($("chosen-image").src);
  state.upload = null;
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
    say(labels.length ? "" : "The gallery is empty. Index a folder: kindred index ~/Pictures");
  } catch (error) {
    say(error.message, true);
  }
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  state.similarTo = null;
  search();
});
for (const id of ["label", "no-label"]) $(id).addEventListener("change", () => search());
$("more").addEventListener("click", () => search(state.cursor));
$("file").addEventListener("change", (event) => choose(event.target.files[0]));
$("chosen-remove").addEventListener("click", () => {
  forget();
  state.similarTo = null;
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
