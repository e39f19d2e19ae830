// Search: by name, op, public function, line, code, node, implementation and algorithm.

let searchable = null; // lower-case text of every info
let index = null; // per info: the stretches of the trace that hold it, and how many events
let matches = null; // hits that are embedded one by one, in time order; made at the first Enter
let matchAt = -1;

async function loadIndex() {
  const read = columnReader(await inflate('search'));
  density = read(1024); // events running in each stretch
  const entries = read(M.infos);
  const n = entries.reduce((a, b) => a + b, 0), gaps = read(n), counts = read(n), off = new Uint32Array(M.infos + 1);
  const bins = new Uint16Array(n);
  for (let info = 0; info < M.infos; info++) {
    off[info + 1] = off[info] + entries[info];
    for (let i = off[info], bin = 0; i < off[info + 1]; i++) bins[i] = bin += gaps[i];
  }
  index = { off, bins, counts };
}

function searchTexts() {
  return searchable ||= Array.from({ length: M.infos }, (_, number) => {
    const info = infoOf(number), site = info.kind && info.kind.site, a = info.attrs;
    const words = [info.name, info.layerName, a.implementation, a.algorithm, a.engine, a.tf_op];
    if (site) words.push(site.op, site.api, site.genOp, place(site.file, site.line), site.code, site.node);
    return words.filter(Boolean).join('\n').toLowerCase();
  });
}

function search(query) {
  const wanted = query.trim().toLowerCase();
  matches = null;
  matchAt = -1;
  hits = hitDensity = null;
  byId('previous').disabled = byId('next').disabled = !wanted;
  if (!wanted) { byId('found').textContent = ''; redraw(); return; }
  hits = new Set();
  hitDensity = new Uint32Array(1024);
  let events = 0;
  searchTexts().forEach((words, info) => {
    if (!words.includes(wanted)) return;
    hits.add(info);
    for (let i = index.off[info]; i < index.off[info + 1]; i++) {
      hitDensity[index.bins[i]] += index.counts[i];
      events += index.counts[i];
    }
  });
  byId('found').textContent = `${count(events)} event${events === 1 ? '' : 's'}`;
  redraw();
}

// Ranks of the hits that the page can show one by one, in order.
async function loadMatches() {
  if (matches) return matches;
  const wanted = hits;
  let found = [];
  if (M.served) found = (await askRows('found', [...wanted])).flat();
  else {
    for (const number of exactChunks()) {
      const chunk = await loadChunk(number);
      for (let i = 0; i < chunk.n; i++) if (wanted.has(chunk.info[i])) found.push(chunk.rank[i]);
    }
    found.sort((a, b) => a - b);
  }
  if (wanted === hits) matches = found;
  return found;
}

async function jump(step) {
  if (!hits) return;
  const found = await loadMatches(), total = byId('found');
  const all = hits ? [...hits].reduce((sum, info) => { for (let i = index.off[info]; i < index.off[info + 1]; i++) sum += index.counts[i]; return sum; }, 0) : 0;
  const merged = all - found.length, only = merged ? `; ${count(merged)} more ${M.served ? 'after those' : 'only in blocks'}` : '';
  if (!found.length) { total.textContent = `${count(all)} events${only}`; return; }
  if (matchAt < 0) { // begin with what is in view; ranks ascend with the start
    let low = 0, high = found.length;
    while (low < high) {
      const middle = (low + high) >> 1, event = (await findEvents([found[middle]])).get(found[middle]);
      if (event.t >= view.t0) high = middle; else low = middle + 1;
    }
    matchAt = step > 0 ? (low === found.length ? 0 : low) - 1 : low;
  }
  matchAt = (matchAt + step + found.length) % found.length;
  total.textContent = `${count(matchAt + 1)} of ${count(found.length)} events${only}`;
  const rank = found[matchAt];
  showEvent((await findEvents([rank])).get(rank));
  await select(rank);
}

function clearSearch() {
  byId('search').value = '';
  search('');
  byId('search').blur();
}
