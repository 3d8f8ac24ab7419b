// A person's readings: one chart per group, silence as gaps, by day, week, month or year; and the day's positions on a map.

import "./page.js";
import { trackMap } from "./map.js";

const day = document.getElementById("day");
const element = document.getElementById("map");
const zone = day.dataset.zone;
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone, hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeZone: zone });
const clock = (moment) => clockFormat.format(new Date(moment));
const when = (moment) => (Date.now() - new Date(moment) < 86_400_000 ? clock(moment) : `${dayFormat.format(new Date(moment))} ${clock(moment)}`);
const shortFormat = new Intl.DateTimeFormat(document.documentElement.lang, { month: "numeric", day: "numeric", timeZone: zone });
const short = (moment) => shortFormat.format(new Date(moment));
const dark = matchMedia("(prefers-color-scheme: dark)");
const loading = day.querySelector(".loading");
const drawn = [];
let asked = "";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function draw(figure, chart, from, to) {
  figure.hidden = false;
  const plot = figure.querySelector(".plot");
  const names = plot.dataset.names.split("|");
  const axis = { stroke: colour("--text"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "12px system-ui" };
  const values = Object.values(chart.series);
  const series = values.map((_, index) => ({
    label: names[index] ?? names[0],
    stroke: colour(index ? "--second" : "--accent"),
    dash: index ? [6, 4] : undefined,
    width: 2,
    spanGaps: false,
    points: { show: chart.ts.length < 200, size: 5 },
  }));
  // Hours and days have a lowest and a highest beside their mean.
  const edges = chart.low ? Object.keys(chart.series).flatMap((metric) => [chart.high[metric], chart.low[metric]]) : [];
  const bands = chart.low ? values.map((_, index) => ({
    series: [values.length + 1 + 2 * index, values.length + 2 + 2 * index],
    fill: `color-mix(in srgb, ${colour(index ? "--second" : "--accent")} 20%, transparent)`,
  })) : [];
  const edge = { label: "", class: "edge", stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
  const size = () => ({ width: Math.max(260, plot.clientWidth), height: 170 });
  const uplot = new uPlot({
    ...size(),
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    scales: { x: { time: true, range: [from, to] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => (to - from > 100_000 ? short(tick * 1000) : clock(tick * 1000))) },
      { ...axis, size: 56 },
    ],
    series: [{ label: day.dataset.time, value: (_, seconds) => (seconds == null ? "–" : when(seconds * 1000)) }, ...series, ...edges.map(() => edge)],
    bands,
    legend: { show: true },
    cursor: { y: false, drag: { x: false, y: false } },
  }, [chart.ts, ...values, ...edges], plot);
  const watch = new ResizeObserver(() => uplot.setSize(size()));
  watch.observe(figure);
  drawn.push({ clear: () => { watch.disconnect(); uplot.destroy(); }, again: () => draw(figure, chart, from, to) });
}

async function load(span) {
  const source = span === "day" ? day.dataset.day : `${day.dataset.history}?span=${span}`;
  const answer = await fetch(source, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

function clear() {
  drawn.splice(0).forEach((one) => one.clear());
  day.querySelectorAll("figure").forEach((figure) => { figure.hidden = true; });
}

function showCharts(readings) {
  const groups = Object.entries(readings.charts);
  clear();
  for (const [group, chart] of groups) {
    const figure = day.querySelector(`[data-group="${group}"]`);
    if (figure) draw(figure, chart, readings.from, readings.to);
  }
  day.querySelector(".empty").hidden = groups.length > 0;
  document.getElementById("rolled-up").hidden = !groups.some(([, chart]) => chart.low);
}

function showMap(readings) {
  const saying = document.getElementById("map-said");
  // Without a position in the last day, the last there was.
  const track = readings.track.length ? readings.track : readings.last;
  const last = track[track.length - 1];
  saying.textContent = last
    ? `${saying.dataset.last} ${when(last.at)} · ${last.lat.toFixed(5)}, ${last.lon.toFixed(5)}${last.accuracy ? ` · ± ${Math.round(last.accuracy)} m` : ""}`
    : saying.dataset.none;
  trackMap(element, track, when);
}

async function show(span) {
  asked = span;
  delete day.dataset.ready;
  loading.textContent = day.dataset.loading;
  loading.hidden = false;
  document.querySelectorAll("[data-span]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.span === span)));
  try {
    const readings = await load(span);
    if (asked !== span) return;
    loading.hidden = true;
    showCharts(readings);
    if (readings.track && !element.hasChildNodes()) showMap(readings);
    day.dataset.ready = span;
  } catch {
    if (asked !== span) return;
    clear();
    loading.textContent = day.dataset.failed;
  }
}

dark.addEventListener("change", () => drawn.splice(0).forEach((one) => { one.clear(); one.again(); }));
document.querySelectorAll("[data-span]").forEach((button) => button.addEventListener("click", () => show(button.dataset.span)));
show("day");
