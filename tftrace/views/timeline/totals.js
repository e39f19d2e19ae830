// Totals of a stretch of time, by layer and by name. A served page asks for them; another counts what it holds: events one
// by one, and blocks, whose events have a layer but no name of their own.

let range = null; // { t0, t1 } ns: the stretch whose totals the panel shows
const NAMES = 80; // listed at most

const overlap = (t, d, t0, t1) => Math.min(t + d, t1) - Math.max(t, t0);

// { rows: [row, info, events, ns], blocks: [row, events, ns] } between t0 and t1; what lies only partly within is cut to it.
async function countBetween(t0, t1) {
  if (M.served) return { rows: await askRows('totals', [t0, t1]), blocks: [] };
  const sums = new Map(), merged = new Map();
  const add = (to, key, events, ns) => {
    const sum = to.get(key);
    if (sum) { sum[0] += events; sum[1] += ns; } else to.set(key, [events, ns]);
  };
  for (const [number, [kind, level, begin, end]] of M.chunks.entries()) {
    // Blocks of the finest level alone: those of coarser ones stand for the same events.
    if (begin >= t1 || end < t0 || (kind === 'M' && level !== M.finest)) continue;
    const { t, d, off, n, info, count: many, busy } = await loadChunk(number);
    if (!n) continue;
    for (let row = 0; row < M.rows; row++) {
      if (off[row] === off[row + 1]) continue;
      let i = crowded.has(row) ? off[row] : lowerBound(t, off[row], off[row + 1], t0);
      while (i > off[row] && t[i - 1] + d[i - 1] > t0) i--;
      for (; i < off[row + 1] && t[i] < t1; i++) {
        if (t[i] + Math.max(d[i], 1) <= t0) continue;
        const within = overlap(t[i], d[i], t0, t1), share = d[i] ? within / d[i] : 1;
        if (kind === 'E') add(sums, row * M.infos + info[i], 1, within);
        else add(merged, row, many[i] * share, (within * busy[i]) / 255);
      }
    }
  }
  return {
    rows: [...sums].map(([key, [events, ns]]) => [Math.floor(key / M.infos), key % M.infos, events, ns]),
    blocks: [...merged].map(([row, [events, ns]]) => [row, events, ns]),
  };
}

// By layer { events, ns, outer, merged }, and by name { name, op, layer, events, ns }, the longest first.
function grouped({ rows, blocks }) {
  const layers = new Map(), names = new Map();
  const layerOf = (row) => {
    const layer = rowLayer[row];
    if (!layers.has(layer)) layers.set(layer, { layer, events: 0, ns: 0, outer: 0, merged: 0 });
    return layers.get(layer);
  };
  const add = (row, events, ns) => {
    const sum = layerOf(row);
    sum.events += events;
    sum.ns += ns;
    if (outermost.has(row)) sum.outer += ns;
    return sum;
  };
  for (const [row, number, events, ns] of rows) {
    const { layer } = add(row, events, ns), { name, op } = titleOf(number), key = [layer, name, op].join('\n');
    if (!names.has(key)) names.set(key, { name, op, layer, events: 0, ns: 0 });
    const sum = names.get(key);
    sum.events += events;
    sum.ns += ns;
  }
  for (const [row, events, ns] of blocks) add(row, events, ns).merged += events;
  return {
    layers: [...layers.values()].sort((a, b) => a.layer - b.layer),
    names: [...names.values()].sort((a, b) => b.ns - a.ns),
  };
}

// Name of an info, and the op that it belongs to where the name does not tell it.
function titleOf(number) {
  const name = text(S.info_name[number]) ?? '(no name)', kind = S.info_kind[number];
  const at = kind >= 0 ? S.siteAt.get(S.kind_site[kind]) : undefined, op = at === undefined ? null : text(S.sites.op[at]);
  return { name, op: op && !name.includes(op) ? op : null };
}

let counting = 0;
async function showTotals(t0, t1) {
  const turn = ++counting;
  selecting++;
  selection = null;
  range = { t0, t1 };
  redraw();
  remember();
  const found = await countBetween(t0, t1).catch((error) => { if (!serverGone) throw error; });
  if (!found || turn !== counting || !range) return;
  await showPanel('Totals of a stretch', totalsParts(t0, t1, grouped(found)));
  redraw();
}

function totalsParts(t0, t1, { layers, names }) {
  const table = (heads, rows) => el('table', { class: 'totals' }, el('thead', {}, el('tr', {}, ...heads.map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, ...rows.map((cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, ...[cell].flat()))))));
  const merged = layers.reduce((sum, of) => sum + of.merged, 0), about = (of) => (of.merged ? 'about ' : '');
  const name = ({ name, op, layer }) => [swatch(layer), el('span', { dir: 'auto' }, op ? `${name} (${op})` : name)];
  const parts = [
    el('p', { class: 'kind' }, 'from ', formatTime(t0, 7), ' to ', formatTime(t1, 7)),
    el('h2', {}, formatTime(t1 - t0, 5)),
    el('p', {}, el('button', { type: 'button', onclick: () => setView(t0, t1) }, 'Zoom to it')),
    el('h3', {}, 'By layer'),
    table(['layer', 'events', 'summed', 'outermost'], layers.map((of) => [
      [swatch(of.layer), LAYERS[of.layer] || 'tftrace itself'], about(of) + count(of.events), about(of) + formatTime(of.ns), about(of) + formatTime(of.outer),
    ])),
    el('p', { class: 'note' }, 'Events are cut to the stretch. Summed counts each event; outermost leaves out what runs inside another event of its lane.'),
    el('h3', {}, 'By name'),
  ];
  if (merged) parts.push(el('p', { class: 'note aggregated' }, `${count(merged)} events shorter than ${formatTime(M.widths[M.finest], 3)} are in this page ` +
    'only as parts of blocks: by layer they are counted in, as closely as the blocks tell, by name they are missing.'));
  parts.push(table(['name', 'events', 'summed'], names.slice(0, NAMES).map((of) => [name(of), count(of.events), formatTime(of.ns)])));
  if (names.length > NAMES) {
    const rest = names.slice(NAMES), ns = rest.reduce((sum, of) => sum + of.ns, 0);
    parts.push(el('p', { class: 'note' }, `and ${count(rest.length)} more names, ${formatTime(ns)} summed`));
  }
  return parts;
}

// The stretch, over the events.
function drawRange(ink) {
  const x0 = Math.max(-2, xOf(range.t0)), x1 = Math.min(plot.width + 2, xOf(range.t1));
  if (x1 < 0 || x0 > plot.width) return;
  ctx.fillStyle = theme() === 'dark' ? 'rgba(255,255,255,.10)' : 'rgba(0,60,120,.10)';
  ctx.fillRect(x0, 0, x1 - x0, plot.height);
  ctx.fillStyle = ink.text;
  for (const x of [x0, x1]) ctx.fillRect(Math.round(x) - 0.5, 0, 1, plot.height);
}
