// Pixels of events and blocks, painted into an array of our own. What a frame costs is then bounded by the size of the picture:
// rectangles given to the canvas one by one took most of the longest frames. Text and arrows go on top.

const raster = { width: 0, height: 0, image: null, pixels: null, line: null, rim: null, mark: null, busy: null, weight: null };

function fitRaster(width, height) {
  if (raster.width === width && raster.height === height) { raster.pixels.fill(0); return; }
  const image = new ImageData(width, height);
  Object.assign(raster, {
    width, height, image, pixels: new Uint32Array(image.data.buffer), line: new Uint32Array(width), rim: new Uint32Array(width),
    mark: new Uint8Array(width), busy: new Float32Array(width), weight: new Float32Array(width),
  });
}

// '#rrggbb' as a pixel of ImageData, on a machine that stores the lowest byte first, as all that run a browser do.
const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const pixel = ([r, g, b], alpha = 255) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;

// A colour as it is to lie in the picture: over a heading's band it is mixed, as no picture lies below it there.
function inked(hex, alpha, band) {
  const over = channels(hex);
  if (!band) return pixel(over, Math.round(alpha * 255));
  return pixel(channels(band).map((below, i) => Math.round(over[i] * alpha + below * (1 - alpha))));
}

const shade = (hex) => '#' + channels(hex).map((v) => Math.round(v * 0.45).toString(16).padStart(2, '0')).join('');

const HIT = 1, DIM = 0.13, BLOCK = 0.6; // how opaque a hit is, what the search does not match, and a block

// Pixel rows of a line that a row takes: from, to. A strip of a folded lane goes to where the next begins.
function spanOf(row, ratio) {
  const whole = lines.part[row] === 1, y = yOf(row);
  if (whole) { const top = Math.round((y + 1.5) * ratio); return [top, top + Math.round((plot.row - 3) * ratio)]; }
  const top = Math.round(y * ratio);
  return [top, Math.max(top + 1, Math.round((y + plot.row * lines.part[row]) * ratio))];
}

function paintBands(ink, ratio) {
  const { pixels, width, height: high } = raster, line = pixel(channels(ink.grid));
  for (const t of roundTimes().at)
    for (let at = Math.min(width - 1, Math.round(xOf(t) * ratio)); at < pixels.length; at += width) pixels[at] = line;
  const band = pixel(channels(ink.band)), rule = pixel(channels(ink.grid), 128);
  for (const { kind, line: at, height } of itemsInView()) {
    const from = Math.round(kind === 'l' ? yAt(at + height) * ratio - 1 : yAt(at) * ratio);
    const to = kind === 'l' ? from + 1 : Math.round(yAt(at + 1) * ratio);
    pixels.fill(kind === 'l' ? rule : band, Math.max(0, from) * width, Math.max(0, Math.min(high, to)) * width);
  }
}

// All that the chunks hold between t0 and t1, on the lines in view. Returns what it saw, and where names may stand.
function paint(list, ink, ratio) {
  fitRaster(Math.max(1, Math.round(plot.width * ratio)), Math.max(1, Math.round(plot.height * ratio)));
  paintBands(ink, ratio);
  const seen = { exact: 0, blocks: 0, merged: 0 }, labels = [];
  const first = firstOn(Math.floor(view.top)), last = firstOn(Math.ceil(view.top + plot.height / plot.row));
  const blocks = list.filter((chunk) => chunk.kind === 'M');
  // The longest first: a short one that begins within the last pixel of a long one is to be seen.
  const exact = list.filter((chunk) => chunk.kind === 'E').sort((a, b) => b.level - a.level);
  for (let at = first; at < last; at++) {
    const row = lines.rows[at];
    if (hidden.has(rowLayer[row])) continue;
    paintBlocks(blocks, row, ink, ratio, seen);
    paintExact(exact, row, ink, ratio, seen, labels);
  }
  ctx.putImageData(raster.image, 0, 0);
  return { seen, labels };
}

// The entry of a row with which a chunk begins to be in view.
function firstInView({ t, d, off }, row) {
  if (crowded.has(row)) return off[row];
  const i = lowerBound(t, off[row], off[row + 1], view.t0);
  return i > off[row] && t[i - 1] + d[i - 1] > view.t0 ? i - 1 : i;
}

// Blocks stand as high as the share of their time that was busy; blocks that share a pixel, as high as theirs together.
function paintBlocks(list, row, ink, ratio, seen) {
  const { width, mark, busy, weight } = raster, scale = width / (view.t1 - view.t0);
  let low = width, high = 0;
  for (const chunk of list) {
    const { t, d, off, info, count: many, busy: share } = chunk, end = off[row + 1];
    if (off[row] === end) continue;
    for (let i = firstInView(chunk, row); i < end && t[i] < view.t1; i++) {
      let x = (t[i] - view.t0) * scale, w = d[i] * scale;
      if (x < 0) { w += x; x = 0; }
      if (w < 0) continue;
      seen.blocks++;
      seen.merged += many[i];
      const left = Math.min(Math.round(x), width - 1), right = Math.min(Math.max(Math.round(x + w), left + 1), width);
      const is = !hits || hits.has(info[i]) ? 2 : 1, by = w < 1 ? w + 1e-3 : 1;
      for (let p = left; p < right; p++) {
        if (mark[p] > is) continue;
        if (mark[p] < is) { mark[p] = is; busy[p] = weight[p] = 0; }
        busy[p] += share[i] * by;
        weight[p] += by;
      }
      if (left < low) low = left;
      if (right > high) high = right;
    }
  }
  if (low >= high) return;
  const colour = COLOURS[theme()][rowLayer[row]], band = lines.part[row] === 1 ? null : ink.band;
  const colours = [0, inked(colour, DIM, band), inked(colour, BLOCK, band)], [from, to] = spanOf(row, ratio), h = to - from;
  const { pixels, height } = raster;
  for (let p = low; p < high; p++) {
    if (!mark[p]) continue;
    const part = Math.max(0.25, busy[p] / weight[p] / 255), top = Math.max(0, from + Math.min(h - 1, Math.round(h * (1 - part))));
    const c = colours[mark[p]];
    for (let y = top, o = top * width + p, stop = Math.min(to, height); y < stop; y++, o += width) pixels[o] = c;
  }
  mark.fill(0, low, high);
}

// Events one by one, on whole pixels and at least one wide. `line` is a row of their pixels, `rim` that of their upper and lower edge.
function paintExact(list, row, ink, ratio, seen, labels) {
  const { width, height, pixels, line, rim } = raster, scale = width / (view.t1 - view.t0), layer = rowLayer[row], mode = theme();
  const whole = lines.part[row] === 1, outlined = whole && OUTLINED[mode].has(layer), thin = Math.max(1, Math.round(ratio));
  const colour = COLOURS[mode][layer], band = whole ? null : ink.band;
  const full = inked(colour, HIT, band), pale = inked(colour, DIM, band);
  const edge = inked(shade(colour), HIT, band), paleEdge = inked(shade(colour), DIM, band);
  const y = yOf(row) + 1.5, roomy = 4 * ratio, named = 30 * ratio;
  let low = width, high = 0;
  for (const chunk of list) {
    const { t, d, off, info } = chunk, end = off[row + 1];
    if (off[row] === end) continue;
    for (let i = firstInView(chunk, row); i < end && t[i] < view.t1; i++) {
      let x = (t[i] - view.t0) * scale, w = d[i] * scale;
      if (x < 0) { w += x; x = 0; }
      if (w < 0) continue;
      seen.exact++;
      w = Math.min(w, width - x);
      const left = Math.min(Math.round(x), width - 1), to = Math.max(Math.round(x + w), left + 1);
      const right = whole && w > roomy && to < width ? to - thin : to; // a gap of a pixel tells neighbours apart
      const hit = !hits || hits.has(info[i]);
      if (left < low) low = left;
      if (right > high) high = right;
      if (right - left === 1) { // most, in a dense picture
        if (hit || !line[left]) line[left] = rim[left] = hit ? full : pale;
        continue;
      }
      const c = hit ? full : pale, e = outlined && w > roomy ? (hit ? edge : paleEdge) : c;
      line.fill(c, left, right);
      rim.fill(e, left, right);
      if (e !== c) { line.fill(e, left, left + thin); line.fill(e, right - thin, right); }
      if (whole && w > named && labels.length < 600) labels.push([x / ratio, w / ratio, y, info[i], layer, hit]);
    }
  }
  if (low >= high) return;
  const [from, to] = spanOf(row, ratio);
  for (let at = Math.max(0, from); at < Math.min(to, height); at++) {
    const source = at - from < thin || to - at <= thin ? rim : line, base = at * width;
    for (let p = low; p < high; p++) if (source[p]) pixels[base + p] = source[p];
  }
  line.fill(0, low, high);
  rim.fill(0, low, high);
}
