// The page of one tag: search, trend, states, figures and rows.

import { absent, count, duration, element, moment, named, none, note, number, share, table, totals } from "./dom.js";
import { colour, draw, over, plain, tone, when } from "./charts.js";
import { query, start } from "./page.js";

const field = document.getElementById("q");
const found = document.getElementById("found");
let typed = 0;

function figures(body, data) {
  if (!data) return;
  const name = data.tag_name ?? "Unknown tag";
  document.getElementById("name").textContent = name;
  document.title = `${name} · PI ingestion`;
  const units = data.units ? ` ${data.units}` : "";
  const figure = (value) => (value === null ? none : named(`${number(value)}${units}`));
  const ofEvents = (made, value) => (data.hourly ? absent("not counted") : made(value));
  totals(body, "figures", [
    ["Events", count(data.events)], ["Good", share(data.good_share)], ["Lowest", figure(data.lowest)], ["Mean", figure(data.mean)],
    ["Highest", figure(data.highest)], ["Deviation", ofEvents(figure, data.deviation)], ["Questionable", ofEvents(count, data.questionable)],
    ["Substituted", ofEvents(count, data.substituted)], ["First event", moment(data.first_event)], ["Last event", moment(data.last_event)],
    ["Type", data.point_type ?? none],
  ]);
  const hour = data.last_hour === null ? "This tag is in no table: search for another." : `No event in this range; the last ones are in the hour of ${moment(data.last_hour).slice(0, 16)} UTC.`;
  note(body, "none", data.events ? "" : hour);
  note(body, "hourly", data.hourly && data.events ? "Over more than a week the figures come from the hourly table; choose a shorter range for the others." : "");
}

function rawTraces(rows) {
  const at = (some) => some.map((row) => when(row.moment));
  const drawn = rows.filter((row) => row.value !== null);
  const doubtful = drawn.filter((row) => row.good && (row.questionable || row.substituted));
  const bad = rows.filter((row) => row.good === false);
  const floor = Math.min(...drawn.map((row) => row.value), Infinity);
  const traces = [{ type: "scatter", mode: rows.length < 300 ? "lines+markers" : "lines", name: "good", x: at(drawn), connectgaps: false,
    y: drawn.map((row) => (row.good === false ? null : row.value)), line: { color: colour(0), width: 1.6 }, marker: { size: 4 } }];
  if (doubtful.length) traces.push({ type: "scatter", mode: "markers", name: "questionable or substituted", x: at(doubtful),
    y: doubtful.map((row) => row.value), marker: { color: colour(1), symbol: "diamond", size: 8 } });
  if (bad.length) traces.push({ type: "scatter", mode: "markers", name: "not good", x: at(bad),
    y: bad.map((row) => row.value ?? (Number.isFinite(floor) ? floor : 0)), text: bad.map((row) => plain(row.value_string ?? "")),
    marker: { color: tone("bad"), symbol: "x", size: 8 }, hovertemplate: "%{y} %{text}" });
  return traces;
}

function reducedTraces(rows, hourly) {
  const line = { x: [], y: [] };
  for (const row of rows) {
    if (row.low === null) { line.x.push(when(row.moment)); line.y.push(null); continue; } // nothing good: no line
    const ends = [[row.low_at, row.low], [row.high_at, row.high]].sort((a, b) => a[0] - b[0]);
    const same = ends[0][0] === ends[1][0] && ends[0][1] === ends[1][1];
    for (const [at, value] of same ? ends.slice(0, 1) : ends) { line.x.push(when(at)); line.y.push(value); }
  }
  const floor = Math.min(...rows.map((row) => row.low ?? Infinity));
  // Nearly every hour has an event that is not good: mark only hours in which most events are.
  const isMarked = (row, name) => (hourly ? row[name] * 2 > row.events : row[name]);
  const flagged = (name, label, symbol, paint) => {
    const some = rows.filter((row) => isMarked(row, name));
    return some.length ? [{ type: "scatter", mode: "markers", name: label, x: some.map((row) => when(row.moment)), y: some.map((row) => row.low ?? floor),
      text: some.map((row) => count(row[name])), hovertemplate: "%{text}", marker: { symbol, color: paint, size: 7 } }] : [];
  };
  return [{ type: "scatter", mode: "lines", name: "lowest and highest", ...line, line: { color: colour(0), width: 1.2 } },
    ...flagged("doubtful", "questionable or substituted", "diamond", colour(1)), ...flagged("bad", hourly ? "mostly not good" : "not good", "x", tone("bad"))];
}

async function trend(body, data, answer) {
  document.getElementById("csv").href = `/ingestion/api/tag.csv?${query()}`;
  if (!data) return;
  const numbers = data.mode === "reduced" ? data.rows.some((row) => row.low !== null) : data.rows.some((row) => row.value !== null);
  note(body, "how", !data.rows.length ? "No events in this range." : !numbers ? "This tag has no numbers in this range: see its states and events."
    : data.mode === "reduced" ? `Lowest and highest good value of each ${duration(data.pixel_us / 1e6)}.` : `${count(data.rows.length)} events, every one drawn.`);
  const label = `Trend of ${count(data.rows.length)} points.`;
  const traces = data.mode === "reduced" ? () => reducedTraces(data.rows, data.hourly) : () => rawTraces(data.rows);
  if (numbers) await draw(body, "trend", label, traces, { hovermode: "closest", showlegend: true, xaxis: over(answer.asked), yaxis: { rangemode: "normal" } });
  else body.querySelector('[data-chart="trend"]')?.remove();
}

async function states(body, data, answer) {
  if (!data) return;
  const steps = data.rows.map((row, index) => ({ ...row, end: data.rows[index + 1]?.moment ?? data.end })).filter((row) => row.state !== "");
  note(body, "none", !steps.length ? (data.hourly ? "No hour of this range ends in a state." : "No states in this range: this tag has numbers only.") : data.cut ? "More changes than can be drawn: these are the first; choose a shorter range."
    : data.hourly ? "Over more than a week: the state at the end of each hour. Choose a shorter range to see every change." : "");
  if (!steps.length) { body.querySelector('[data-chart="states"]')?.remove(); return; }
  const names = [...new Set(steps.map((row) => row.state))];
  await draw(body, "states", `${count(steps.length)} states: ${names.slice(0, 8).join(", ")}.`, () => names.map((name, index) => {
    const mine = steps.filter((row) => row.state === name);
    return { type: "bar", orientation: "h", name: plain(name), y: mine.map(() => ""), base: mine.map((row) => when(row.moment)),
      x: mine.map((row) => Math.max(row.end - row.moment, 1000) / 1000), width: 0.9,
      text: mine.map((row) => `${plain(name)}, ${moment(row.moment)}, ${duration((row.end - row.moment) / 1e6)}`), textposition: "none", hovertemplate: "%{text}<extra></extra>",
      marker: { color: index < 8 ? colour(index) : colour(7), line: { width: 0 } } };
  }), { barmode: "overlay", hovermode: "closest", showlegend: names.length <= 12, xaxis: over(answer.asked), yaxis: { visible: false, fixedrange: true } }, "strip");
}

function rows(body, data) {
  if (!data) return;
  note(body, "more", data.more ? `The newest ${data.rows.length}; the download has all of the range.` : "");
  table(body, "rows", [
    { label: "Timestamp", kind: "moment", cell: (r) => moment(r.moment, 6) },
    { label: "Seq.", kind: "number", cell: (r) => String(r.sequence) },
    { label: "Value", kind: "number", cell: (r) => (r.value === null ? none : String(r.value)) },
    { label: "Text or state", kind: "text late", cell: (r) => named(r.value_string ?? "") },
    { label: "Kind", cell: (r) => r.value_kind },
    { label: "Flags", cell: (r) => flags(r) },
  ], data.rows, "Newest events");
}

function flags(row) {
  const texts = [row.good === false ? "not good" : "", row.questionable ? "questionable" : "", row.substituted ? "substituted" : "", row.annotated ? "annotated" : ""].filter(Boolean);
  const made = element("span", { className: texts.length ? "mark" : "", textContent: texts.join(", ") || "good" });
  if (texts.length) made.dataset.level = row.good === false ? "bad" : "warn";
  return made;
}

async function search() {
  const mine = ++typed;
  const asked = query();
  ["tag", "width"].forEach((name) => asked.delete(name));
  asked.set("q", field.value.trim());
  const line = document.getElementById("found-words");
  try {
    const answer = await fetch(`/ingestion/api/tags?${asked}`);
    const body = await answer.json();
    if (mine !== typed) return;
    const list = body.state === "ok" ? body.data.rows : [];
    line.textContent = body.state !== "ok" ? body.words : !list.length ? "No tag of the last 30 days has that in its name." : list.length >= 30 ? "The first 30; type more of the name." : "";
    found.replaceChildren(...list.map((row) => {
      const keep = query();
      keep.delete("q");
      keep.set("tag", row.tag_webid);
      return element("li", {}, element("a", { href: `/ingestion/tag?${keep}` }, named(row.tag_name), element("small", {}, named(row.units ?? ""))));
    }));
    if (answer.status === 202) setTimeout(() => { if (mine === typed) search(); }, 2000);
  } catch { if (mine === typed) line.textContent = "No answer: is pi-datasource dashboard running?"; }
}

field.addEventListener("input", () => { const mine = ++typed; setTimeout(() => { if (mine === typed) search(); }, 200); });
field.addEventListener("keydown", (event) => { if (event.key === "ArrowDown") { event.preventDefault(); found.querySelector("a")?.focus(); } });
const back = () => { const asked = query(); ["tag", "q", "width"].forEach((name) => asked.delete(name)); document.getElementById("back").href = `/ingestion?${asked}`; };

if (query().has("tag")) {
  document.getElementById("panels").hidden = false;
  start({ "tag-summary": figures, "tag-trend": trend, "tag-states": states, "tag-rows": rows }, back);
} else {
  start({}, back);
  document.getElementById("updated").textContent = "";
  field.focus();
  search();
}
