// Reading the page's data. `pack.py` is the writer of the columns, `page.py` of the meta object.

const byId = (id) => document.getElementById(id);
const M = JSON.parse(byId('meta').textContent);
const LAYERS = Object.keys(M.layers);
const EXACT_ONLY = 30000; // a trace of no more events is always drawn event by event

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < out.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

async function inflate(id) {
  const unpacker = new DecompressionStream('deflate'), writer = unpacker.writable.getWriter();
  writer.write(fromBase64(byId('data-' + id).textContent));
  writer.close();
  return new Uint8Array(await new Response(unpacker.readable).arrayBuffer());
}

// ---- a served page asks for what it does not hold
let serverGone = false;
async function ask(what, numbers) {
  try {
    const answer = await fetch(what, { method: 'POST', body: numbers.join() });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    return answer;
  } catch (error) {
    serverGone = true;
    byId('status').textContent = `No answer from tftrace view (${error.message}): it has stopped, or the connection broke. ` +
      'What is drawn stays; start it again and open its new address.';
    throw error;
  }
}
const askRows = async (what, numbers) => (numbers.length ? (await ask(what, numbers)).json() : []);
const chunkBytes = async (number) => (M.served ? new Uint8Array(await (await ask('chunk', [number])).arrayBuffer()) : inflate('c' + number));

// Returns a function that reads the next column of n values.
function columnReader(bytes) {
  let at = 0;
  return (n) => {
    const planes = bytes[at++], low = new Uint32Array(n);
    for (let j = 0; j < Math.min(planes, 4); j++, at += n)
      for (let i = 0; i < n; i++) low[i] |= bytes[at + i] << (8 * j);
    if (planes <= 4) return low;
    const wide = new Float64Array(low);
    for (let j = 4; j < planes; j++, at += n)
      for (let i = 0; i < n; i++) wide[i] += bytes[at + i] * 2 ** (8 * j);
    return wide;
  };
}

const unzigzag = (v) => (v % 2 ? -(v + 1) / 2 : v / 2);

function sums(gaps, signed) {
  const out = new Float64Array(gaps.length);
  for (let i = 0, v = 0; i < gaps.length; i++) out[i] = v += signed ? unzigzag(gaps[i]) : gaps[i];
  return out;
}

// A chunk in memory: entries sorted by (row, t); those of row r lie at off[r] to off[r + 1].
function unpack(bytes, head) {
  const [kind, level, base, end, n, unit, lowRank] = head;
  const read = columnReader(bytes), counts = read(M.rows), off = new Uint32Array(M.rows + 1);
  for (let r = 0; r < M.rows; r++) off[r + 1] = off[r] + counts[r];
  const gaps = read(n), t = new Float64Array(n), lengths = read(n);
  for (let r = 0; r < M.rows; r++)
    for (let i = off[r], v = 0; i < off[r + 1]; i++) t[i] = base + (v += gaps[i]) * unit;
  const d = new Float64Array(lengths);
  if (kind === 'E') {
    const info = read(n), rank = sums(read(n), true);
    for (let i = 0; i < n; i++) rank[i] += lowRank;
    return { kind, level, end, n, off, t, d, info, rank };
  }
  for (let i = 0; i < n; i++) d[i] *= unit;
  return { kind, level, end, n, off, t, d, count: read(n), busy: new Uint8Array(read(n)), info: read(n) };
}

function rowOf(chunk, i) {
  return lowerBound(chunk.off, 0, chunk.off.length, i + 1) - 1;
}

// First index in [low, high) whose value is not below v.
function lowerBound(values, low, high, v) {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < v) low = middle + 1;
    else high = middle;
  }
  return low;
}

// ---- chunks, decoded when first needed
const chunks = new Map(); // number -> chunk, or the promise of it
const ofLevel = new Map();
M.chunks.forEach((head, number) => {
  const key = head[0] + head[1];
  ofLevel.set(key, [...(ofLevel.get(key) || []), number]);
});

function chunkReady(number) {
  const chunk = chunks.get(number);
  return chunk && chunk.kind ? chunk : null;
}

// One piece of work after another, each in a task of its own: between two of them the browser may draw a frame.
let turn = Promise.resolve();
const inTurn = (work) => (turn = turn.then(() => new Promise((done) => setTimeout(() => done(work())))));

function loadChunk(number) {
  if (!chunks.has(number))
    chunks.set(number, chunkBytes(number).then(async (bytes) => {
      const chunk = await inTurn(() => unpack(bytes, M.chunks[number]));
      chunks.set(number, chunk);
      forget();
      redraw();
      return chunk;
    }));
  return Promise.resolve(chunks.get(number));
}

// A served page may see more than memory holds: what was drawn longest ago goes first.
const KEPT = 240;
function forget() {
  if (!M.served) return;
  for (const [number, chunk] of chunks) {
    if (chunks.size <= KEPT) return;
    if (chunk.kind && !shown.chunks.includes(chunk)) chunks.delete(number);
  }
}
function touch(number) {
  const chunk = chunks.get(number);
  chunks.delete(number);
  chunks.set(number, chunk);
}

const exactChunks = () => M.chunks.flatMap((head, number) => (head[0] === 'E' ? [number] : []));

// The level whose merged events are no wider than about a pixel and a half; -1 draws every event.
function levelFor(nsPerPixel) {
  let level = M.levels.includes(M.finest) ? M.finest : -1;
  if (level < 0 && M.events <= EXACT_ONLY) return -1;
  for (const k of M.levels) if (k >= 0 && M.widths[k] <= nsPerPixel * 1.5) level = k;
  return level;
}

// What to draw between t0 and t1: decoded chunks of the level wanted, or of a coarser one while those decode.
function visibleChunks(t0, t1, nsPerPixel) {
  const within = (key) => (ofLevel.get(key) || []).filter((n) => M.chunks[n][2] < t1 && M.chunks[n][3] > t0);
  const needed = (level) => {
    const numbers = level >= 0 ? within('M' + level) : [];
    for (let k = level; k < M.widths.length; k++) numbers.push(...within('E' + k));
    return numbers;
  };
  const level = levelFor(nsPerPixel), wanted = needed(level);
  const missing = wanted.filter((n) => !chunkReady(n));
  if (!serverGone) missing.forEach((n) => loadChunk(n).catch(() => {}));
  if (M.served) wanted.forEach((n) => chunks.has(n) && touch(n));
  if (missing.length)
    for (const k of M.levels.filter((k) => k > level)) {
      const coarser = needed(k);
      if (coarser.every(chunkReady)) return { level: k, ready: false, list: coarser.map(chunkReady) };
    }
  return { level, ready: !missing.length, list: wanted.map(chunkReady).filter(Boolean) };
}

// ---- what events share: names, sites, kinds of call
let S = null;
const text = (number) => (number >= 0 ? S.strings[number] : null);

async function loadStatic() {
  S = JSON.parse(new TextDecoder().decode(await inflate('static')));
  S.open = new Set(S.info_open);
  S.siteAt = new Map(S.sites.site_id.map((id, at) => [id, at]));
}

function siteOf(id) {
  const at = S.siteAt.get(id);
  if (at === undefined) return null;
  const c = S.sites;
  const positive = (v) => (v >= 0 ? v : null);
  return {
    op: text(c.op[at]), api: text(c.api[at]), genOp: text(c.gen_op[at]), mode: text(c.mode[at]),
    genOpPlace: place(text(c.gen_op_file[at]), c.gen_op_line[at]), file: text(c.python_file[at]),
    line: positive(c.python_line[at]), code: text(c.python_code[at]), graph: text(c.graph[at]),
    node: text(c.node[at]), traceUs: positive(c.trace_us[at]), executions: positive(c.executions[at]),
    callers: c.callers[at].map(([file, line, code]) => ({ place: place(text(file), line), code: text(code) })),
  };
}

const place = (file, line) => (file ? (line >= 0 && line !== null ? `${file}:${line}` : file) : null);

function kindOf(number) {
  if (number < 0) return null;
  const c = (name) => text(S['kind_' + name][number]);
  return {
    site: siteOf(S.kind_site[number]), shapes: c('shapes'), dtypes: c('dtypes'), opAttrs: c('op_attrs'),
    device: c('device'), status: c('status'), warmUp: S.kind_warm_up[number] === 1,
  };
}

// Everything that one info says: what an event shares with the other executions of the same place.
function infoOf(number) {
  const extra = S.info_extra[number], pairs = {};
  if (extra >= 0) {
    const flat = S.info_extras[extra];
    for (let i = 0; i < flat.length; i += 2) pairs[text(flat[i])] = text(flat[i + 1]);
  }
  const layer = S.info_layer[number];
  return {
    name: text(S.info_name[number]) ?? '(no name)', layer, layerName: LAYERS[layer] || 'tftrace itself',
    kind: kindOf(S.info_kind[number]), stack: S.info_stack[number], attrs: pairs, open: S.open.has(number),
  };
}

// ---- single events by their rank
async function findEvents(ranks) {
  const found = new Map();
  if (M.served) {
    for (const [rank, row, t, d, info] of await askRows('events', ranks)) found.set(rank, { rank, row, t, d, info });
    return found;
  }
  for (const number of exactChunks()) {
    const [, , , , , , low, high] = M.chunks[number];
    const mine = ranks.filter((rank) => rank >= low && rank <= high && !found.has(rank));
    if (!mine.length) continue;
    const c = await loadChunk(number);
    c.byRank ||= Uint32Array.from(c.rank.keys()).sort((a, b) => c.rank[a] - c.rank[b]);
    c.ranks ||= Float64Array.from(c.byRank, (i) => c.rank[i]);
    for (const rank of mine) {
      const at = lowerBound(c.ranks, 0, c.n, rank);
      if (c.ranks[at] === rank) found.set(rank, eventAt(c, c.byRank[at]));
    }
  }
  return found;
}

function eventAt(chunk, i) {
  return { rank: chunk.rank[i], row: rowOf(chunk, i), t: chunk.t[i], d: chunk.d[i], info: chunk.info[i] };
}
