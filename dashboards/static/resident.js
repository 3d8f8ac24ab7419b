// A person's last day: one chart per group of readings, silence as gaps, and the positions on a map.

import "./page.js";
import { trackMap } from "./map.js";

const day = document.getElementById("day");
const element = document.getElementById("map");
const zone = day.dataset.zone;
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone, hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeZone: zone });
const clock = (moment) => clockFormat.format(new Date(moment));
const when = (moment) => (Date.now() - new Date(moment) < 86_400_000 ? clock(moment) : `${dayFormat.format(new Date(moment))} ${clock(moment)}`);
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = [];

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
  const size = () => ({ width: Math.max(260, plot.clientWidth), height: 170 });
  const uplot = new uPlot({
    ...size(),
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    scales: { x: { time: true, range: [from, to] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) },
      { ...axis, size: 56 },
    ],
    series: [{ label: day.dataset.time, value: (_, seconds) => (seconds == null ? "–" : clock(seconds * 1000)) }, ...series],
    legend: { show: true },
    cursor: { y: false, drag: { x: false, y: false } },
  }, [chart.ts, ...values], plot);
  drawn.push(() => { uplot.destroy(); draw(figure, chart, from, to); });
  new ResizeObserver(() => uplot.setSize(size())).observe(figure);
}

async function load() {
  const answer = await fetch(day.dataset.source, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

function show(readings) {
  day.querySelector(".loading").remove();
  const groups = Object.entries(readings.charts);
  for (const [group, chart] of groups) {
    const figure = day.querySelector(`[data-group="${group}"]`);
    if (figure) draw(figure, chart, readings.from, readings.to);
  }
  if (!groups.length) day.append(Object.assign(document.createElement("p"), { className: "empty", textContent: day.dataset.none }));
  const saying = document.getElementById("map-said");
  // Without a position in the last day, the last there was.
  const track = readings.track.length ? readings.track : readings.last;
  const last = track[track.length - 1];
  saying.textContent = last
    ? `${saying.dataset.last} ${when(last.at)} · ${last.lat.toFixed(5)}, ${last.lon.toFixed(5)}${last.accuracy ? ` · ± ${Math.round(last.accuracy)} m` : ""}`
    : saying.dataset.none;
  trackMap(element, track, when);
  day.dataset.ready = "yes";
}

dark.addEventListener("change", () => drawn.splice(0).forEach((again) => again()));
load().then(show).catch(() => { day.querySelector(".loading")?.replaceChildren(day.dataset.failed); });
