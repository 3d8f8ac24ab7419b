// Maps that need nothing from outside: a scale and rings of known distance stand in where no tiles are set.

const RINGS_M = [100, 500, 2000, 10000];

function base(element) {
  const map = L.map(element, { attributionControl: false, zoomControl: true, maxZoom: 19 });
  L.control.scale({ imperial: false }).addTo(map);
  if (element.dataset.tiles) L.tileLayer(element.dataset.tiles, { maxZoom: 19 }).addTo(map);
  return map;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function text(content) {
  const span = document.createElement("span");
  span.textContent = content;
  return span;
}

function spot(map, point, name, colourName) {
  return L.circleMarker(point, { radius: 8, weight: 3, color: colour("--page"), fillColor: colour(colourName), fillOpacity: 1 })
    .bindTooltip(text(name), { permanent: true, direction: "top", offset: [0, -8] }).addTo(map);
}

function rings(map, centre) {
  for (const radius of RINGS_M) {
    L.circle(centre, { radius, fill: false, weight: 1, dashArray: "4 6", color: colour("--quiet"), interactive: false }).addTo(map);
    const north = L.latLng(centre).toBounds(radius * 2).getNorth();
    L.marker([north, centre[1]], {
      interactive: false,
      icon: L.divIcon({ className: "ring-name", html: text(radius < 1000 ? `${radius} m` : `${radius / 1000} km`), iconSize: [60, 16] }),
    }).addTo(map);
  }
}

function accuracyCircle(map, point, accuracy) {
  if (!accuracy) return null;
  return L.circle(point, { radius: accuracy, weight: 1, color: colour("--accent"), fillOpacity: 0.12, interactive: false }).addTo(map);
}

// One position: of an alert.
export function positionMap(element) {
  if (!element) return;
  const point = [Number(element.dataset.lat), Number(element.dataset.lon)];
  const map = base(element);
  const circle = accuracyCircle(map, point, Number(element.dataset.accuracy));
  map.setView(point, 16);
  if (!element.dataset.tiles) rings(map, point);
  if (circle) map.fitBounds(circle.getBounds().pad(1), { maxZoom: 17 });
  spot(map, point, element.dataset.title, "--critical");
}

// A day of positions, and home.
export function trackMap(element, track, clock) {
  const home = element.dataset.lat ? [Number(element.dataset.lat), Number(element.dataset.lon)] : null;
  if (!home && !track.length) {
    element.hidden = true;
    return;
  }
  const map = base(element);
  const points = track.map((one) => [one.lat, one.lon]);
  const seen = [...points, ...(home ? [home] : [])];
  map.fitBounds(L.latLngBounds(seen).pad(0.2), { maxZoom: 16 });
  if (home) {
    if (!element.dataset.tiles) rings(map, home);
    spot(map, home, element.dataset.home, "--good");
  }
  if (!points.length) return;
  L.polyline(points, { color: colour("--accent"), weight: 3, opacity: 0.8 }).addTo(map);
  track.forEach((one) => L.circleMarker([one.lat, one.lon], { radius: 4, weight: 1, color: colour("--accent"), fillOpacity: 0.8 })
    .bindTooltip(text(clock(one.at))).addTo(map));
  const last = track[track.length - 1];
  accuracyCircle(map, points[points.length - 1], last.accuracy);
  spot(map, points[points.length - 1], `${element.dataset.last} ${clock(last.at)}`, "--accent");
}
