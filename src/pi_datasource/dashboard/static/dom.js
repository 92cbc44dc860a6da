// Formats numbers, times and texts, and creates elements for them. Texts are never inserted as HTML.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

export const none = "–";
export const count = (n) => (n === null || n === undefined ? none : whole.format(n));
export const big = (n) => (n === null || n === undefined ? none : n < 1e6 ? whole.format(n) : compact.format(n));
export const number = (n) => (n === null || n === undefined ? none : short.format(n));
export const share = (s) => (s === null || s === undefined ? none : `${(Math.floor(s * 10000) / 100).toFixed(2)} %`);

export function moment(us, digits = 0) {
  if (us === null || us === undefined) return none;
  const iso = new Date(Math.floor(us / 1000)).toISOString();
  const part = String(us % 1e6).padStart(6, "0").slice(0, digits);
  return iso.slice(0, 10) + " " + iso.slice(11, 19) + (digits ? "." + part : "");
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return none;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A text from a plant: the browser determines its direction.
export const named = (text) => element("bdi", { textContent: text === null || text === undefined ? "(none)" : text });

// The placeholder of a missing figure, in a lighter colour.
export const absent = (text) => element("small", { textContent: text });

export function tagLink(row, query) {
  const keep = new URLSearchParams(query);
  ["plant", "sensor_type", "by", "q"].forEach((name) => keep.delete(name));
  keep.set("tag", row.tag_webid);
  return element("a", { href: `/ingestion/tag?${keep}` }, named(row.tag_name));
}

// Columns are {label, cell(row) → text or element, kind: number | moment | text | bar}. Unchanged rows are
// kept, so that the text selection and the scroll position stay.
export function table(body, id, columns, rows, label) {
  let box = body.querySelector(`[data-table="${id}"]`);
  const state = JSON.stringify(rows);
  if (box && box.dataset.state === state) return;
  if (!box) {
    const head = element("tr", {}, ...columns.map((c) => element("th", { scope: "col", textContent: c.label, className: c.kind || "text" })));
    box = element("div", { className: "scroll", tabIndex: 0 }, element("table", {}, element("thead", {}, head), element("tbody")));
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", label);
    box.dataset.table = id;
    body.append(box);
  }
  box.dataset.state = state;
  const lines = rows.map((row) => element("tr", {}, ...columns.map((c) => {
    const cell = element("td", { className: c.kind || "text" });
    cell.append(c.cell(row));
    return cell;
  })));
  box.querySelector("tbody").replaceChildren(...lines);
}

export function totals(body, id, pairs) {
  let list = body.querySelector(`[data-totals="${id}"]`);
  if (!list) {
    list = element("dl", { className: "totals" });
    list.dataset.totals = id;
    body.append(list);
  }
  list.replaceChildren(...pairs.map(([name, value]) => {
    const figure = element("dd");
    figure.append(value);
    return element("div", {}, element("dt", { textContent: name }), figure);
  }));
}

export function note(body, id, text, level = "") {
  let line = body.querySelector(`[data-note="${id}"]`);
  if (!line) {
    line = element("p", { className: "note" });
    line.dataset.note = id;
    body.append(line);
  }
  line.hidden = !text;
  line.replaceChildren(element("span", { textContent: text, className: level ? "mark" : "" }));
  if (level) line.dataset.level = level;
}

export function gauge(part) {
  const fill = element("i");
  fill.style.width = `${Math.max(0, Math.min(1, part || 0)) * 100}%`;
  const made = element("span", { className: "gauge" }, fill);
  made.setAttribute("aria-hidden", "true");
  return made;
}
