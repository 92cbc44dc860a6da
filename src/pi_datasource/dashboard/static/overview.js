// The page with all panels: renders the data of each as text, tables and charts.

import { absent, big, count, duration, element, gauge, moment, named, none, note, number, share, table, tagLink, totals } from "./dom.js";
import { colour, draw, over, plain, tone, when } from "./charts.js";
import { offer, query, start } from "./page.js";

const MOST_SERIES = 12;
const RUNS_WIDE = 20; // a few runs are drawn as narrow as many
const byName = (left, right) => String(left ?? "￿").localeCompare(String(right ?? "￿"));
const mark = (text, level) => {
  const made = element("span", { className: "mark", textContent: text });
  made.dataset.level = level;
  return made;
};
const goodness = (row) => (row.events ? row.good / row.events : null);
const level = (part) => (part === null ? "unknown" : part >= 0.99 ? "ok" : part >= 0.9 ? "warn" : "bad");

function kpis(body, data) {
  if (!data) return;
  const cards = [
    ["Events", big(data.events), data.rows_in_table === null ? "in the range" : `in the range; table ${big(data.rows_in_table)}`],
    ["Tags", count(data.tags), "with events in the range"],
    ["Good", share(data.good_share), "of the events"],
    ["Last event", data.last_event === null ? none : moment(data.last_event).slice(11), data.last_event === null ? "" : `${moment(data.last_event).slice(0, 10)} UTC`],
    ["Lag", duration(data.lag_s), data.read_until === null ? "" : `read until ${moment(data.read_until).slice(11)}`],
    ["Rows per second", data.rows_per_second === null ? none : big(Math.round(data.rows_per_second)), "while ingesting"],
  ];
  if (body.children.length !== cards.length) {
    body.replaceChildren(...cards.map(([name]) => element("div", {}, element("dt", { textContent: name }),
      element("dd", { className: "figure" }), element("dd", { className: "more" }))));
  }
  cards.forEach(([, figure, more], index) => {
    const [, first, second] = body.children[index].children;
    first.textContent = figure;
    second.textContent = more;
  });
}

// The largest series one by one, the others added up.
function readable(all) {
  const sorted = [...all].sort((a, b) => byName(a.name, b.name));
  if (sorted.length <= MOST_SERIES) return sorted;
  const sum = (one) => one.events.reduce((a, b) => a + b, 0);
  const big = new Set([...sorted].sort((a, b) => sum(b) - sum(a)).slice(0, MOST_SERIES - 1));
  const rest = sorted.filter((one) => !big.has(one));
  const bars = new Map();
  for (const one of rest) one.moments.forEach((at, index) => bars.set(at, (bars.get(at) ?? 0) + one.events[index]));
  const moments = [...bars.keys()].sort((a, b) => a - b);
  return [...sorted.filter((one) => big.has(one)), { name: `${rest.length} others`, moments, events: moments.map((at) => bars.get(at)) }];
}

async function timeline(body, data, answer) {
  if (!data) return;
  const series = readable(data.series);
  const sums = series.map((one) => ({ name: one.name, events: one.events.reduce((a, b) => a + b, 0) }));
  note(body, "none", series.length ? "" : "No events in this range.");
  const label = `Events per ${duration(data.grain_s)}. ${sums.map((one) => `${one.name ?? "(none)"}: ${count(one.events)}`).join(", ")}.`;
  await draw(body, "timeline", label, () => series.map((one, index) => ({
    type: "bar", name: plain(one.name), x: one.moments.map(when), y: one.events,
    xperiod: data.grain_s * 1000, xperiodalignment: "middle",
    marker: { color: colour(index), pattern: index >= 8 ? { shape: "/" } : {} }, hovertemplate: "%{y:,}",
  })), { barmode: "stack", showlegend: true, xaxis: over(answer.asked), yaxis: { title: { text: `events per ${duration(data.grain_s)}` } } });
}

async function health(body, data, answer) {
  const line = document.getElementById("headline");
  const verdict = data ? data.headline : { level: "unknown", words: answer.words };
  line.dataset.level = verdict.level;
  document.body.toggleAttribute("data-empty", answer.state === "empty"); // one word of advice instead of ten
  const text = verdict.words[0].toUpperCase() + verdict.words.slice(1);
  if (line.querySelector(".words").textContent !== text) line.querySelector(".words").textContent = text;
  if (!data) return;
  const streams = data.streams.length > 1 ? data.streams.map((one) => `${one.stream_id.slice(0, 8)}: ${one.words}.`).join(" ") : "";
  note(body, "streams", streams);
  const next = data.headline.next_run_us;
  note(body, "next", next === null ? "" : `The next run ${next < answer.asked.now ? "was" : "is"} expected about ${moment(next).slice(11)} UTC, judging by the usual interval.`);
  const bad = (run) => run.status === "failed" || run.read_failures;
  const runs = data.runs.filter((run) => run.kind !== "overlap").reverse(); // its duration is that of its micro-batch
  await draw(body, "runs", `Seconds of the last ${runs.length} micro-batches.`, () => [{
    type: "bar", x: runs.map((_, index) => index), y: runs.map((run) => run.seconds),
    marker: { color: runs.map((run) => (bad(run) ? tone("bad") : colour(0))), pattern: { shape: runs.map((run) => (bad(run) ? "/" : "")) } },
    customdata: runs.map((run) => [moment(run.created_at), count(run.rows_read), count(run.read_failures)]),
    hovertemplate: "%{customdata[0]}: %{y:.1f} s, %{customdata[1]} rows, %{customdata[2]} failures<extra></extra>",
  }], { xaxis: clock(runs), yaxis: { title: { text: "seconds" } }, hovermode: "closest", margin: { l: 46, r: 10, t: 8, b: 26 } }, "low");
  table(body, "runs", [
    { label: "Written", kind: "moment", cell: (r) => moment(r.created_at) },
    { label: "Kind", kind: "text", cell: (r) => (r.status === "failed" ? mark(`${r.kind} failed: ${r.error}`, "bad") : r.kind ?? none) },
    { label: "Window end", kind: "moment", cell: (r) => moment(r.window_end) },
    { label: "Seconds", kind: "number", cell: (r) => number(Math.round(r.seconds * 10) / 10) },
    { label: "Tags", kind: "number", cell: (r) => count(r.tags) },
    { label: "Rows read", kind: "number", cell: (r) => count(r.rows_read) },
    { label: "Inserted", kind: "number", cell: (r) => count(r.rows_inserted) },
    { label: "Edited", kind: "number", cell: (r) => count(r.rows_updated) },
    { label: "Deleted", kind: "number", cell: (r) => count(r.rows_deleted) },
    { label: "Late", kind: "number", cell: (r) => count(r.rows_late) },
    { label: "Failures", kind: "number", cell: (r) => (r.read_failures ? mark(count(r.read_failures), "bad") : "0") },
    { label: "Retries", kind: "number", cell: (r) => count(r.retries) },
    { label: "Behind", kind: "number", cell: (r) => duration(r.lag_seconds) },
  ], data.runs, "The last micro-batches");
}

// Runs side by side, the newest at the right; some are labelled with their times.
function clock(runs) {
  const step = Math.max(1, Math.ceil(runs.length / 8));
  const labelled = runs.map((_, index) => index).filter((index) => (runs.length - 1 - index) % step === 0);
  const last = runs.length - 0.5;
  return { type: "linear", zeroline: false, range: [last - Math.max(runs.length, RUNS_WIDE), last], tickvals: labelled, ticktext: labelled.map((index) => moment(runs[index].created_at).slice(11, 16)) };
}

function distribution(body, data) {
  if (!data) return;
  const most = Math.max(1, ...data.rows.map((row) => row.events));
  const rows = data.rows.map((row) => ({ ...row, most }));
  table(body, "types", [
    { label: "Sensor type", cell: (r) => named(r.sensor_type) },
    { label: "", kind: "bar", cell: (r) => gauge(r.events / r.most) },
    { label: "Events", kind: "number", cell: (r) => count(r.events) },
    { label: "Tags", kind: "number", cell: (r) => count(r.tags) },
    { label: "Good", kind: "number", cell: (r) => mark(share(goodness(r)), level(goodness(r))) },
  ], rows, "Events by sensor type");
}

function freshness(body, data) {
  if (!data) return;
  table(body, "plants", [
    { label: "Plant", cell: (r) => named(r.plant) },
    { label: "Age", kind: "number", cell: (r) => duration(r.age_s) },
    { label: "Tags", kind: "number", cell: (r) => count(r.tags) },
    { label: "Silent", kind: "number", cell: (r) => (r.stale ? mark(count(r.stale), "warn") : "0") },
    { label: "Last event", kind: "moment late", cell: (r) => (r.exact ? moment(r.last_event) : `in the hour of ${moment(r.last_event).slice(0, 16)}`) },
  ], data.plants, "Freshness by plant");
  note(body, "none", data.stale.length ? "" : "No tag is silent for longer than is usual for it.", "ok");
  if (!data.stale.length) { body.querySelector('[data-table="stale"]')?.remove(); return; }
  table(body, "stale", [
    { label: "Silent tag", cell: (r) => tagLink(r, query()) },
    { label: "Plant", cell: (r) => named(r.plant) },
    { label: "Last event in the hour of", kind: "moment", cell: (r) => moment(r.last_hour).slice(0, 16) },
  ], data.stale, "Silent tags");
}

function gaps(body, data) {
  if (!data) return;
  note(body, "none", data.rows.length ? `A bar is ${duration(data.step_s)}.` : "Every tag has an event in every bar.");
  table(body, "gaps", [
    { label: "Tag", cell: (r) => tagLink(r, query()) },
    { label: "Longest", kind: "number", cell: (r) => duration(r.longest_us / 1e6) },
    { label: "× usual", kind: "number", cell: (r) => number(Math.round(r.times_usual * 10) / 10) },
    { label: "From", kind: "moment", cell: (r) => moment(r.silent_from).slice(0, 16) },
    { label: "Silences", kind: "number", cell: (r) => count(r.gaps) },
  ], data.rows, "Tags with the longest silences");
}

function quality(body, data) {
  if (!data) return;
  table(body, "quality", [
    { label: "Tag", cell: (r) => tagLink(r, query()) },
    { label: "Good", kind: "number", cell: (r) => mark(share(r.good_share), level(r.good_share)) },
    { label: "Not good", kind: "number", cell: (r) => count(r.events - r.good) },
    { label: "Events", kind: "number", cell: (r) => count(r.events) },
    { label: "Plant", kind: "text late", cell: (r) => named(r.plant) },
  ], data.rows, "Tags with the smallest share of good events");
}

async function changes(body, data, answer) {
  if (!data) return;
  const { inserted, edited, deleted, late } = data.totals;
  const ifRecorded = (column, n) => (answer.not_recorded.includes(column) ? absent("not recorded") : count(n));
  totals(body, "changes", [["New", count(inserted)], ["Late", ifRecorded("rows_late", late)], ["Edited", count(edited)], ["Deleted", ifRecorded("rows_deleted", deleted)]]);
  const kinds = [["edited", 1], ["deleted", 5], ["late", 3]].filter(([name]) => data.totals[name]);
  note(body, "none", kinds.length ? "" : data.rows.length ? `No row was ${nothing(answer.not_recorded)} in this range.` : "No run in this range.");
  if (!kinds.length) { body.querySelector('[data-chart="changes"]')?.remove(); return; }
  await draw(body, "changes", `Edited, deleted and late rows per ${duration(data.grain_s)}.`, () => kinds.map(([name, index]) => ({
    type: "bar", name, x: data.rows.map((row) => when(row.moment)), y: data.rows.map((row) => row[name]),
    marker: { color: colour(index) }, hovertemplate: "%{y:,}",
  })), { barmode: "group", showlegend: true, xaxis: over(answer.asked) }, "low");
}

// Only recorded columns can be said to be zero.
const nothing = (unknown) => ["late", "edited", "deleted"].filter((kind) => !unknown.includes(`rows_${kind}`)).join(" or ");

function completeness(body, data) {
  if (!data) return;
  totals(body, "completeness", [["Comparisons", count(data.checks)], ["Events at the server", count(data.server_events)],
    ["Events in the table", count(data.table_events)], ["Differences", data.differences ? mark(count(data.differences), "bad") : count(data.differences)]]);
  note(body, "at", data.checked_at === null ? "No audit in this range." : `Last audit ${moment(data.checked_at)} UTC.`);
  if (!data.rows.length) { body.querySelector('[data-table="completeness"]')?.remove(); return; }
  table(body, "completeness", [
    { label: "Tag", cell: (r) => named(r.tag_name) },
    { label: "Window", kind: "moment", cell: (r) => `${moment(r.window_start)} – ${moment(r.window_end).slice(11)}` },
    { label: "Server", kind: "number", cell: (r) => count(r.server_count) },
    { label: "Table", kind: "number", cell: (r) => count(r.table_count) },
  ], data.rows, "Differences");
}

function errors(body, data) {
  if (!data) return;
  note(body, "sum", data.waiting ? `${count(data.waiting)} waiting` : "None: every window of every tag has been read.", data.waiting ? "bad" : "ok");
  note(body, "dismissed", data.dismissed.map((r) => `${count(r.dismissed)} dismissed: ${r.reason ?? "no reason given"}.`).join(" "));
  if (!data.rows.length) { body.querySelector('[data-table="errors"]')?.remove(); return; }
  table(body, "errors", [
    { label: "Tag", cell: (r) => named(r.tag_name) },
    { label: "Window", kind: "moment", cell: (r) => `${moment(r.window_start)} – ${moment(r.window_end)}` },
    { label: "Status", kind: "number", cell: (r) => (r.status === null ? none : String(r.status)) },
    { label: "Message", cell: (r) => named(r.message ?? "") },
  ], data.rows, "Errors waiting for repair");
}

start(
  { kpis, timeline, health, distribution, freshness, gaps, quality, changes, completeness, errors, choices: (_, data) => offer(data) },
  () => { const asked = query(); document.getElementById("find").href = `/ingestion/tag${asked.has("range") ? `?range=${asked.get("range")}` : ""}`; },
);
