// Charts: one place that knows Plotly. It is fetched when the first chart is drawn, so that figures come first.

import { element } from "./dom.js";

const COLOURS = 8;
let loading;

function plotly() {
  loading ||= new Promise((resolve, reject) => {
    const script = element("script", { src: document.documentElement.dataset.plotly });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { loading = undefined; reject(new Error("the charts' script did not load")); };
    document.head.append(script);
  });
  return loading;
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const colour = (index) => style(`--c${index % COLOURS}`);
export const tone = (name) => style(`--${name}`);

// Plotly reads a little HTML in its texts; names from a plant are no HTML.
export const plain = (text) =>
  (text === null || text === undefined ? "(none)" : String(text)).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export const when = (us) => new Date(us / 1000).toISOString().slice(0, 23).replace("T", " ");

// A zoom stays through refreshes, and ends when another range is chosen.
const chosenRange = () => ["range", "from", "to"].map((name) => new URLSearchParams(location.search).get(name)).join();

// The horizontal axis of a chart over the chosen range, so that missing ends are seen as such.
export const over = (asked) => ({ range: [when(asked.start), when(asked.end)] });

function layout(extra, narrow) {
  const grid = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line"), automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: style("--soft"), size: narrow ? 11 : 12, family: getComputedStyle(document.body).fontFamily },
    margin: { l: 46, r: 10, t: 8, b: 58 }, uirevision: chosenRange(), hovermode: "x unified", bargap: 0.12,
    hoverlabel: { bgcolor: style("--paper"), bordercolor: style("--line"), font: { color: style("--ink") } },
    legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", traceorder: "normal" },
    ...extra,
    xaxis: { type: "date", ...grid, showgrid: false, ...(extra.xaxis || {}) },
    yaxis: { rangemode: "tozero", ...grid, ...(extra.yaxis || {}) },
  };
}

// Draws into body's chart `id`, or redraws it in place; a reader's zoom stays.
export async function draw(body, id, label, makeTraces, extra = {}, size = "") {
  let box = body.querySelector(`[data-chart="${id}"]`);
  if (!box) {
    box = element("div", { className: `chart ${size}` });
    box.dataset.chart = id;
    box.setAttribute("role", "img");
    body.append(box);
  }
  box.setAttribute("aria-label", label);
  const Plotly = await plotly();
  const show = () => {
    const settings = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
    return Plotly.react(box, makeTraces(), layout(extra, window.innerWidth < 600), settings);
  };
  box.redraw = show;
  await show();
}

// Colours of the page change with the reader's light or dark setting.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const box of document.querySelectorAll("[data-chart]")) box.redraw?.();
});
