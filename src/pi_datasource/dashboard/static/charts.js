// Charts: the only module that uses Plotly, which is loaded with the first chart, after the figures.

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

// Plotly interprets some HTML in texts; names from a plant are escaped.
export const plain = (text) =>
  (text === null || text === undefined ? "(none)" : String(text)).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export const when = (us) => new Date(us / 1000).toISOString().slice(0, 23).replace("T", " ");

// The zoom survives refreshes until another range is selected.
const chosenRange = () => ["range", "from", "to"].map((name) => new URLSearchParams(location.search).get(name)).join();

// The horizontal axis covers the selected range, so that missing data at its ends is visible.
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

// Draws the chart `id` in `body`, or redraws it in place, with the same zoom.
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

// The colours of the page follow the light or dark setting of the browser.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const box of document.querySelectorAll("[data-chart]")) box.redraw?.();
});
