// Drawing: the picture of raster.js on a canvas below plotly's axes, with names and arrows; the overview above it.

// A layer's colour is that of every other picture. Yellow, sky blue and orange get a dark outline on white, where they would
// be too pale alone. White text only on what is dark enough.
const COLOURS = M.colours;
const WHITE_TEXT = { light: new Set([0, 7]), dark: new Set() };
const OUTLINED = { light: new Set([1, 3, 4]), dark: new Set() };
const INK = {
  light: { text: '#14171c', faint: '#5b6270', grid: '#e2e5ea', band: '#f3f5f8', arrow: '#14171c', hit: '#c1121f', paper: '#ffffff' },
  dark: { text: '#e8eaee', faint: '#a3aab6', grid: '#2b3038', band: '#1c2026', arrow: '#ffffff', hit: '#ff6b6b', paper: '#14171c' },
};
const darkMedia = matchMedia('(prefers-color-scheme: dark)');
const theme = () => document.documentElement.dataset.theme || (darkMedia.matches ? 'dark' : 'light');

const view = { t0: 0, t1: M.span, top: 0 }; // ns, and the first line shown
const shown = { chunks: [], level: -1 }; // what the last frame drew: hover and clicks look here
const hidden = new Set(); // layers switched off in the legend
let hits = null; // Set of infos that the search matches
let selection = null; // { rank, events: Map(rank -> event), links } of the open panel
let frame = 0;

const plot = { left: 0, top: 0, width: 1, height: 1, row: 20 }; // px
const canvas = document.createElement('canvas'), ctx = canvas.getContext('2d');
canvas.id = 'events';
canvas.setAttribute('role', 'img');
canvas.setAttribute('aria-label', 'Events over time, one lane per thread and layer; the panel lists what is selected');

function redraw() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    if (S) { draw(); drawOverview(); placeLabels(); placeTicks(); }
  });
}

function fitCanvas(c, width, height) {
  const ratio = devicePixelRatio || 1, w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (c.width !== w || c.height !== h) { c.width = w; c.height = h; }
  const context = c.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

const yOf = (row) => (lines.at[row] - view.top) * plot.row; // top of the line, or of the strip
const yAt = (line) => (line - view.top) * plot.row;
const xOf = (t) => ((t - view.t0) / (view.t1 - view.t0)) * plot.width;

function draw() {
  measure();
  Object.assign(canvas.style, {
    left: plot.left + 'px', top: plot.top + 'px', width: plot.width + 'px', height: plot.height + 'px',
  });
  fitCanvas(canvas, plot.width, plot.height);
  const ink = INK[theme()];
  const found = visibleChunks(view.t0, view.t1, (view.t1 - view.t0) / plot.width);
  shown.chunks = found.list;
  shown.level = found.level;
  const { seen, labels } = paint(found.list, ink, devicePixelRatio || 1);
  drawLabels(labels);
  if (range) drawRange(ink);
  if (selection) drawSelection(ink);
  drawScroll(ink);
  if (found.ready) say(found.level, seen);
}

// Where among all rows the ones in view lie, if they do not all fit.
function drawScroll(ink) {
  const rows = plot.height / plot.row;
  if (rows >= lines.count) return;
  ctx.fillStyle = ink.faint;
  ctx.globalAlpha = 0.6;
  const long = Math.max(8, (rows / lines.count) * plot.height);
  ctx.fillRect(plot.width - 5, (view.top / (lines.count - rows)) * (plot.height - long), 5, long);
  ctx.globalAlpha = 1;
}

function drawLabels(labels) {
  const size = 11, wide = size * 0.602, h = plot.row - 3, mode = theme();
  ctx.font = `${size}px ui-monospace, 'DejaVu Sans Mono', monospace`;
  ctx.textBaseline = 'middle';
  for (const [x, w, y, info, layer, hit] of labels) {
    const name = text(S.info_name[info]) ?? '', room = Math.floor((w - 8) / wide);
    if (room < 2) continue;
    ctx.globalAlpha = hit ? 1 : 0.45;
    ctx.fillStyle = WHITE_TEXT[mode].has(layer) && hit ? '#fff' : hit ? '#000' : INK[mode].text;
    ctx.fillText(name.length > room ? name.slice(0, room - 1) + '…' : name, x + 4, y + h / 2 + 0.5);
  }
  ctx.globalAlpha = 1;
}

function drawSelection(ink) {
  const box = (event, width) => {
    const h = Math.max(3, plot.row * lines.part[event.row] - 3);
    // A bar that reaches far out of view is cut, or its outline would be longer than a canvas can draw.
    const left = Math.max(xOf(event.t), -9), right = Math.min(xOf(event.t + event.d), plot.width + 9);
    if (left > plot.width || right < 0) return;
    const x = Math.round(left) - 0.5, y = Math.round(yOf(event.row)) + 0.5, w = Math.max(3, Math.round(right - left));
    ctx.lineWidth = width + 2;
    ctx.strokeStyle = ink.paper;
    ctx.strokeRect(x, y, w, h + 2);
    ctx.lineWidth = width;
    ctx.strokeStyle = ink.arrow;
    ctx.strokeRect(x, y, w, h + 2);
  };
  for (const event of selection.events.values()) if (!hidden.has(rowLayer[event.row])) box(event, 1);
  const own = selection.events.get(selection.rank);
  if (own) box(own, 2.5);
  for (const { parent, child } of selection.links) {
    const a = selection.events.get(parent), b = selection.events.get(child);
    if (a && b && !hidden.has(rowLayer[a.row]) && !hidden.has(rowLayer[b.row])) arrow(a, b, ink);
  }
}

// From where the parent's bar and the child's start meet, down (or up) to the child's first pixel.
function arrow(a, b, ink) {
  const down = lines.at[b.row] > lines.at[a.row], xb = xOf(b.t), xa = Math.min(Math.max(xb - 14, xOf(a.t)), xOf(a.t + a.d));
  if (Math.max(xa, xb) < -50 || Math.min(xa, xb) > plot.width + 50) return;
  const ya = yOf(a.row) + (down ? plot.row * lines.part[a.row] - 2 : 2);
  const yb = yOf(b.row) + (plot.row * lines.part[b.row]) / 2;
  const path = () => {
    ctx.beginPath();
    ctx.moveTo(xa, ya);
    ctx.bezierCurveTo(xa, (ya + yb) / 2, xb - 16, yb, xb - 1, yb);
    ctx.stroke();
  };
  ctx.strokeStyle = ink.paper;
  ctx.lineWidth = 3.5;
  path();
  ctx.strokeStyle = ctx.fillStyle = ink.arrow;
  ctx.lineWidth = 1.4;
  path();
  ctx.beginPath();
  ctx.moveTo(xb + 1, yb);
  ctx.lineTo(xb - 6, yb - 4);
  ctx.lineTo(xb - 6, yb + 4);
  ctx.fill();
}

// ---- overview: events over the whole trace, hits, and the part in view
const overview = byId('overview');
let density = null, hitDensity = null;
const bars = document.createElement('canvas'); // its unchanging part, drawn once
let barsFor = [];

function drawBars(width, height, left, w, ink) {
  const is = [width, height, left, w, theme(), hitDensity, devicePixelRatio];
  if (is.every((v, i) => v === barsFor[i])) return;
  barsFor = is;
  const c = fitCanvas(bars, width, height), bins = density.length;
  const high = Math.sqrt(density.reduce((a, b) => Math.max(a, b), 1));
  c.fillStyle = ink.faint;
  for (let b = 0; b < bins; b++) {
    const bar = density[b] ? Math.max(1.5, (Math.sqrt(density[b]) / high) * (height - 8)) : 0;
    c.fillRect(Math.floor(left + (b / bins) * w), height - 2 - bar, Math.ceil(w / bins), bar);
  }
  if (hitDensity) {
    c.fillStyle = ink.hit;
    for (let b = 0; b < bins; b++) if (hitDensity[b]) c.fillRect(left + (b / bins) * w - 0.5, 0, Math.max(2, w / bins), 6);
  }
}

function drawOverview() {
  const width = overview.clientWidth, height = overview.clientHeight, ink = INK[theme()], left = plot.left, w = plot.width;
  drawBars(width, height, left, w, ink);
  const c = fitCanvas(overview, width, height);
  c.drawImage(bars, 0, 0, width, height);
  const x0 = left + (Math.max(0, view.t0) / M.span) * w, x1 = left + (Math.min(M.span, view.t1) / M.span) * w;
  c.fillStyle = theme() === 'dark' ? 'rgba(255,255,255,.13)' : 'rgba(0,60,120,.12)';
  c.fillRect(x0, 0, Math.max(2, x1 - x0), height);
  c.strokeStyle = ink.text;
  c.strokeRect(x0 + 0.5, 0.5, Math.max(2, x1 - x0) - 1, height - 1);
  c.fillStyle = ink.faint;
  c.font = '11px system-ui, sans-serif';
  c.textBaseline = 'middle';
  c.fillText('whole trace', 10, height / 2);
}
