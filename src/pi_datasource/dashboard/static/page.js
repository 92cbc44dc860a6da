// Shared by both pages: the selection in the URL, requests for panels, loading, empty and error states, refreshing.

import { element, moment, named } from "./dom.js";

const refreshMs = Number(document.documentElement.dataset.refresh) * 1000;
const RETRY_MS = 2000;
const form = document.getElementById("filters");
const problem = document.getElementById("problem");

export const query = () => new URLSearchParams(location.search);

let round = 0; // answers of an older round are too late
let pending = 0; // panels of this round that have no answer yet
let updated = null;
let renderers = {};
let onChoice = () => {};

export function start(panels, changed = () => {}) {
  renderers = panels;
  onChoice = changed;
  readAddress();
  form.addEventListener("change", (event) => { if (event.target.type !== "datetime-local") writeAddress(event.target); });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("dates").addEventListener("click", () => writeAddress(form.elements.from));
  document.getElementById("refresh").addEventListener("click", () => refresh());
  addEventListener("popstate", () => { readAddress(); dim(); refresh(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && (!updated || Date.now() - updated > refreshMs)) refresh(); });
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.pick[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const open of document.querySelectorAll("details.pick[open]")) { open.open = false; open.querySelector("summary").focus(); }
  });
  // If the tables are slower than the interval, wait for them: a new round would discard their results.
  setInterval(() => { if (!document.hidden && !pending) refresh(); }, refreshMs);
  setInterval(showAge, 1000);
  refresh();
}

export function refresh() {
  round += 1;
  pending = Object.keys(renderers).length;
  for (const name of Object.keys(renderers)) load(name, round);
  onChoice();
}

async function load(name, mine) {
  const section = document.querySelector(`[data-panel="${name}"]`);
  try {
    const { status, body } = await ask(name, section);
    if (mine !== round) return;
    if (status === 202) {
      if (!section?.dataset.shown) showState(section, "waiting", body.words);
      pending += 1; // it is still to come
      setTimeout(() => { if (mine === round) load(name, mine); }, RETRY_MS);
      return;
    }
    section?.removeAttribute("aria-busy");
    if (status === 400) { problem.textContent = body.words; problem.hidden = false; }
    if (body.age_s !== undefined) { updated = Date.now() - body.age_s * 1000; showAge(); }
    if (body.state !== "ok") { showState(section, body.state, body.words); renderers[name](null, null, body); return; }
    problem.hidden = true;
    show(section);
    showMissing(section, body.not_recorded);
    await renderers[name](section?.querySelector(".body"), body.data, body);
    if (section) section.dataset.shown = String(mine);
    showRange(body.asked);
  } catch (error) {
    if (mine !== round) return;
    section?.removeAttribute("aria-busy");
    showState(section, "error", `${error.message || error} The page tries again by itself.`);
  } finally {
    if (mine === round) pending -= 1;
  }
}

async function ask(name, section) {
  const asked = query();
  if (section && name.startsWith("tag-")) asked.set("width", String(Math.round(section.clientWidth)));
  try {
    const answer = await fetch(`/ingestion/api/${name}?${asked}`, { headers: { Accept: "application/json" } });
    return { status: answer.status, body: await answer.json() };
  } catch { throw new Error("No answer: is pi-datasource dashboard running?"); }
}

function showState(section, state, text) {
  if (!section) return;
  const line = section.querySelector(".state");
  line.hidden = false;
  line.dataset.state = state;
  line.querySelector(".words").textContent = text;
  if (state === "empty") section.querySelector(".body").hidden = true;
}

function show(section) {
  if (!section) return;
  section.querySelector(".state").hidden = true;
  section.querySelector(".body").hidden = false;
}

function showMissing(section, columns) {
  const line = section?.querySelector(".missing");
  if (!line) return;
  line.hidden = !columns?.length;
  line.textContent = columns?.length ? `Not recorded by this version of the pipeline: ${columns.join(", ").replaceAll("_", " ")}.` : "";
}

function showAge() {
  if (updated === null) return;
  const seconds = Math.max(0, Math.round((Date.now() - updated) / 1000));
  document.getElementById("updated").textContent = seconds < 2 ? "updated now" : `updated ${seconds} s ago`;
}

function showRange({ start: from, end }) {
  document.getElementById("shown").textContent = `${moment(from).slice(0, 16)} to ${moment(end).slice(0, 16)} UTC`;
}

function readAddress() {
  const asked = query();
  const range = asked.get("range") || (asked.has("from") ? "" : "24h");
  for (const radio of form.querySelectorAll("[name=range]")) radio.checked = radio.value === range;
  for (const radio of document.querySelectorAll("[name=by]")) radio.checked = radio.value === (asked.get("by") || "plant");
  for (const name of ["from", "to"]) form.elements[name].value = (asked.get(name) || "").slice(0, 16);
  for (const box of form.querySelectorAll("[type=checkbox]")) box.checked = asked.getAll(box.name).includes(box.value);
  showCounts(asked);
}

function writeAddress(changed) {
  const asked = query();
  if (changed.name === "range") { asked.set("range", changed.value); asked.delete("from"); asked.delete("to"); }
  if (changed.name === "by") asked.set("by", changed.value);
  if (changed.name === "from") {
    for (const name of ["from", "to"]) if (form.elements[name].value) asked.set(name, form.elements[name].value); else asked.delete(name);
    if (asked.has("from") || asked.has("to")) asked.delete("range");
  }
  if (changed.type === "checkbox") {
    const kept = asked.getAll(changed.name).filter((value) => value !== changed.value);
    asked.delete(changed.name);
    for (const value of changed.checked ? [...kept, changed.value] : kept) asked.append(changed.name, value);
  }
  history.pushState(null, "", `${location.pathname}?${asked}`);
  readAddress();
  dim();
  refresh();
}

// The selection has changed: panels show data of the previous one until their own arrives.
function dim() {
  for (const section of document.querySelectorAll("[data-panel]")) {
    section.setAttribute("aria-busy", "true");
    delete section.dataset.shown;
  }
}

function showCounts(asked) {
  for (const mark of form.querySelectorAll("[data-count]")) {
    const chosen = mark.dataset.count === "dates" ? Number(asked.has("from")) : asked.getAll(mark.dataset.count).length;
    mark.textContent = chosen ? `· ${chosen}` : "";
  }
}

// The checkboxes of plants and sensor types; those in the URL are included even if the tables lack them.
export function offer(choices) {
  const asked = query();
  for (const place of form.querySelectorAll("[data-choices]")) {
    const name = place.dataset.choices;
    const values = [...new Set([...(choices?.[name] || []), ...asked.getAll(name)])];
    const state = JSON.stringify(values);
    if (place.dataset.state === state) continue;
    place.dataset.state = state;
    const boxes = values.map((value) => {
      const box = element("input", { type: "checkbox", name, value, checked: asked.getAll(name).includes(value) });
      return element("label", {}, box, " ", named(value));
    });
    place.replaceChildren(...(boxes.length ? boxes : [element("span", { className: "note", textContent: "None: ingest with --tag-pattern to name them." })]));
  }
}
