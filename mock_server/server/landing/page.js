"use strict";
const SHOWN = 200000; // characters of a reply that are laid out
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
let authorization = null;

async function ask(address) {
  const headers = authorization ? { Authorization: authorization } : {};
  const response = await fetch(address, { headers: { "X-Requested-With": "page", ...headers }, credentials: "omit" });
  byId("sign-in").hidden = response.status !== 401;
  return response;
}

function element(name, attributes = {}, text = null, space = null) {
  const made = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

const drawn = (name, attributes, text = null) => element(name, attributes, text, SVG);
const isNumber = (event) => typeof event.Value === "number";
const shown = (value) => (value !== null && typeof value === "object" ? value.Name : String(value));

// Trends show numbers as a line, everything else as a strip of states.

function drawLine(svg, events, x) {
  const numbers = events.filter(isNumber).map((event) => event.Value);
  if (!numbers.length) return [];
  let low = Math.min(...numbers), high = Math.max(...numbers);
  if (high === low) { low -= 1; high += 1; }
  const y = (value) => 88 - ((value - low) / (high - low)) * 76;
  let path = "", pen = "M";
  for (const event of events) {
    if (isNumber(event)) {
      path += `${pen}${x(event).toFixed(2)} ${y(event.Value).toFixed(2)}`;
      pen = "L";
    } else {
      pen = "M";
      svg.append(drawn("line", { class: "bad", x1: x(event), x2: x(event), y1: 4, y2: 96 }));
    }
  }
  svg.append(drawn("path", { class: "line", d: path }));
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)].map((value) => Number(value.toPrecision(5)));
  return [element("span", {}, `${least} to ${most}`)];
}

function drawStrip(svg, events, x) {
  const legend = new Map();
  events.forEach((event, place) => {
    const from = x(event), to = place + 1 < events.length ? x(events[place + 1]) : 300;
    const code = event.Value !== null && typeof event.Value === "object" ? event.Value.Value : place;
    const fill = event.Good ? `hsl(${(190 + code * 67) % 360} 45% 55%)` : "var(--bad)";
    const rect = drawn("rect", { class: "strip", x: from, y: 24, width: Math.max(to - from, 0.5), height: 52, fill });
    rect.append(drawn("title", {}, `${shown(event.Value)} since ${event.Timestamp}`));
    svg.append(rect);
    if (!legend.has(shown(event.Value))) legend.set(shown(event.Value), fill);
  });
  return [...legend].map(([name, fill]) => {
    const entry = element("span", {}, name);
    const swatch = element("i");
    swatch.style.background = fill;
    entry.prepend(swatch);
    return entry;
  });
}

function drawTrend(figure, stream, start, end) {
  const events = stream.Items.filter((event) => !event.Errors);
  const last = events[events.length - 1];
  const x = (event) => Math.max(0, Math.min(300, ((Date.parse(event.Timestamp) - start) / (end - start)) * 300));
  const svg = drawn("svg", { viewBox: "0 0 300 100", preserveAspectRatio: "none", role: "img" });
  const range = (events.some(isNumber) ? drawLine : drawStrip)(svg, events, x);
  const value = last ? shown(isNumber(last) ? Number(last.Value.toPrecision(5)) : last.Value) : "no data";
  svg.setAttribute("aria-label", `${stream.Name}, ${events.length} values in the last hour, last value ${value}`);
  figure.querySelector(".last").textContent = `${value} ${stream.UnitsAbbreviation || ""}`;
  figure.querySelector("svg")?.remove();
  figure.querySelector(".range").replaceChildren(...range, element("span", {}, `${events.length} values`));
  figure.querySelector(".range").before(svg);
}

async function refreshTrends() {
  const figures = [...document.querySelectorAll(".trend")];
  if (!figures.length) return;
  const ids = figures.map((figure) => `webId=${encodeURIComponent(figure.dataset.webId)}`).join("&");
  try {
    const server = await ask("/piwebapi/dataservers?selectedFields=Items.ServerTime");
    if (!server.ok) throw new Error(`the server answered ${server.status}`);
    const now = (await server.json()).Items[0].ServerTime;
    const start = new Date(Date.parse(now) - 3600000);
    byId("clock").textContent = now.slice(0, 19).replace("T", " ") + " UTC";
    const window = `startTime=${start.toISOString()}&endTime=${encodeURIComponent(now)}`;
    const response = await ask(`/piwebapi/streamsets/recorded?${ids}&${window}&boundaryType=Interpolated&maxCount=2000`);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const streams = (await response.json()).Items;
    figures.forEach((figure, place) => drawTrend(figure, streams[place], start.getTime(), Date.parse(now)));
  } catch (error) {
    figures.forEach((figure) => { figure.querySelector(".last").textContent = `not read: ${error.message}`; });
  }
}

async function refreshFrames() {
  const section = byId("frames");
  if (!section.dataset.url) return;
  const response = await ask(section.dataset.url).catch(() => null);
  if (!response || !response.ok) return;
  const rows = (await response.json()).Items.map((frame) => {
    const row = element("li");
    const open = frame.EndTime.startsWith("9999");
    row.append(element("strong", {}, frame.Name));
    row.append(element("span", {}, `${frame.Severity === "None" ? "" : frame.Severity + " · "}${open ? "open" : "until " + frame.EndTime.slice(0, 19).replace("T", " ")}`));
    return row;
  });
  section.querySelector("ul").replaceChildren(...rows);
  section.hidden = !rows.length;
}

// The API browser keeps the addresses it came from.

const past = [];

function layOut(text) {
  const reply = byId("reply");
  reply.replaceChildren();
  const own = `"(${location.origin.replace(/[.*+?^$()|[\]\\{}]/g, "\\$&")}/piwebapi[^"]*)"`;
  let at = 0;
  for (const match of text.matchAll(new RegExp(own, "g"))) {
    reply.append(text.slice(at, match.index + 1));
    const link = element("a", { href: match[1] }, match[1]);
    link.addEventListener("click", (event) => { event.preventDefault(); send(relative(match[1])); });
    reply.append(link);
    at = match.index + match[0].length - 1;
  }
  reply.append(text.slice(at));
}

const relative = (address) => address.replace(location.origin, "");

async function send(address, remember = true) {
  const status = byId("status");
  if (remember && byId("address").dataset.sent) past.push(byId("address").dataset.sent);
  byId("back").disabled = !past.length;
  byId("address").value = address;
  byId("address").dataset.sent = address;
  status.classList.remove("bad-text");
  status.textContent = "Waiting …";
  const began = performance.now();
  try {
    if (!address.startsWith("/")) throw new Error("an address starts with /piwebapi");
    const response = await ask(address);
    const text = await response.text();
    const took = Math.round(performance.now() - began);
    status.textContent = `${response.status} ${response.statusText} · ${text.length.toLocaleString("en")} characters · ${took} ms`;
    status.classList.toggle("bad-text", !response.ok);
    let pretty = text;
    try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* no JSON: as it is */ }
    const cut = pretty.length > SHOWN ? `${pretty.slice(0, SHOWN)}\n… ${pretty.length - SHOWN} more characters` : pretty;
    layOut(cut);
  } catch (error) {
    byId("reply").replaceChildren();
    status.classList.add("bad-text");
    status.textContent = `Not sent: ${error.message}`;
  }
}

byId("example").addEventListener("change", (event) => { byId("address").value = event.target.value; });
byId("request").addEventListener("submit", (event) => { event.preventDefault(); send(byId("address").value.trim()); });
byId("back").addEventListener("click", () => { if (past.length) send(past.pop(), false); });
byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { user, secret } = event.target.elements;
  const bytes = new TextEncoder().encode(`${user.value}:${secret.value}`);
  authorization = user.value ? `Basic ${btoa(String.fromCharCode(...bytes))}` : `Bearer ${secret.value}`;
  const response = await ask("/piwebapi").catch(() => null);
  event.target.querySelector("p").textContent = response?.ok ? "" : "That was not accepted.";
  if (response?.ok) { refreshTrends(); refreshFrames(); }
});
byId("address").value = byId("example").value;

async function refresh() {
  if (!document.hidden) {
    await refreshTrends();
    await refreshFrames();
  }
  setTimeout(refresh, Number(byId("trends").dataset.refreshS) * 1000);
}
refresh();
