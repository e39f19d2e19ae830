// Lanes: on which line of the screen each row of the data lies, what is folded, and the labels beside the picture.
//
// Folded, a lane keeps the line of its outermost events; a thread or a process keeps its heading, in which each of its
// layers has a thin strip of its own.

const rowLayer = new Int8Array(M.rows).fill(-1), rowTrack = new Int32Array(M.rows).fill(-1);
const lanesOf = M.tracks.map(() => []), tracksOf = M.processes.map(() => []);
M.lanes.forEach(([layer, row, depth, track], lane) => {
  lanesOf[track].push(lane);
  for (let r = row; r < row + depth; r++) { rowLayer[r] = layer; rowTrack[r] = track; }
});
M.tracks.forEach(([, , , process], track) => tracksOf[process].push(track));

const crowded = new Set(M.crowded); // rows in which events may overlap: what began first may still run
const outermost = new Set(M.lanes.map(([, row]) => row));

const folded = new Set(); // 'p0', 't3', 'l7': a process, a thread or stream, a lane
const lines = { count: 0, at: new Float64Array(M.rows), part: new Float32Array(M.rows), rows: [], of: [], items: [] };
// at: line of a row, a strip's with a fraction; part: share of the line that it takes.
// rows, of: the rows that are drawn and the line of each, both ascending. items: headings and lanes from top to bottom.

const foldable = (kind, number) => kind !== 'l' || M.lanes[number][2] > 1;

function layOut() {
  let line = 0;
  lines.rows = [];
  lines.of = [];
  lines.items = [];
  const draw = (row, at, part) => {
    lines.rows.push(row);
    lines.of.push(Math.floor(at));
    lines.at[row] = at;
    lines.part[row] = part;
  };
  // The heading's height is shared among the layers that there are: a stream, of one, is seen as well as if it were open.
  const strips = (tracks, at) => {
    const lanes = tracks.flatMap((track) => lanesOf[track]).map((lane) => M.lanes[lane]);
    const layers = [...new Set(lanes.map(([layer]) => layer))].sort((a, b) => a - b), part = 0.8 / layers.length;
    for (const [layer, row, depth] of lanes) {
      const top = at + 0.1 + part * layers.indexOf(layer);
      draw(row, top, part);
      for (let r = row + 1; r < row + depth; r++) { lines.at[r] = top; lines.part[r] = part; }
    }
  };
  const item = (kind, number, height) => {
    lines.items.push({ id: kind + number, kind, number, line, height });
    line += height;
  };
  M.processes.forEach(([, heading], process) => {
    if (heading >= 0) {
      item('p', process, 1);
      if (folded.has('p' + process)) { strips(tracksOf[process], line - 1); return; }
    }
    for (const track of tracksOf[process]) {
      item('t', track, 1);
      if (folded.has('t' + track)) { strips([track], line - 1); continue; }
      for (const lane of lanesOf[track]) {
        const [, row, depth] = M.lanes[lane], shut = folded.has('l' + lane);
        for (let r = row; r < row + depth; r++) {
          if (!shut || r === row) draw(r, line + r - row, 1);
          else { lines.at[r] = line; lines.part[r] = 1; }
        }
        item('l', lane, shut ? 1 : depth);
      }
    }
  });
  lines.count = line;
  labelledFor = '';
}

function toggle(id) {
  if (!foldable(id[0], +id.slice(1))) return;
  if (!folded.delete(id)) folded.add(id);
  layOut();
  setView(view.t0, view.t1);
}

// All threads and streams to their headings; where they all are, all open again.
function foldAll() {
  const open = M.tracks.some((_, track) => !folded.has('t' + track));
  M.tracks.forEach((_, track) => (open ? folded.add('t' + track) : folded.delete('t' + track)));
  layOut();
  setView(view.t0, view.t1);
}

// Opens whatever hides a row.
function uncover(row) {
  const track = rowTrack[row];
  if (track < 0) return;
  const lane = lanesOf[track].find((l) => row >= M.lanes[l][1] && row < M.lanes[l][1] + M.lanes[l][2]);
  const shut = ['p' + M.tracks[track][3], 't' + track, ...(row > M.lanes[lane][1] ? ['l' + lane] : [])];
  if (shut.map((id) => folded.delete(id)).some(Boolean)) layOut();
}

// ---- in the deep link: t0-5.l7
function foldedText() {
  const parts = [];
  for (const kind of 'ptl') {
    const numbers = [...folded].filter((id) => id[0] === kind).map((id) => +id.slice(1)).sort((a, b) => a - b);
    for (let i = 0, j; i < numbers.length; i = j) {
      for (j = i + 1; j < numbers.length && numbers[j] === numbers[j - 1] + 1;) j++;
      parts.push(kind + numbers[i] + (j > i + 1 ? '-' + numbers[j - 1] : ''));
    }
  }
  return parts.join('.');
}

function foldFrom(words) {
  const size = { p: M.processes.length, t: M.tracks.length, l: M.lanes.length };
  folded.clear();
  for (const [, kind, first, last] of words.matchAll(/([ptl])(\d+)(?:-(\d+))?/g))
    for (let n = +first; n <= Math.min(+(last ?? first), size[kind] - 1); n++) if (foldable(kind, n)) folded.add(kind + n);
  layOut();
}

// ---- what lies where
// Position in `lines.rows` of the first row on this line or below it.
const firstOn = (line) => lowerBound(lines.of, 0, lines.of.length, line);

function rowAt(line) {
  const i = firstOn(Math.floor(line)), row = lines.rows[i];
  return lines.of[i] === Math.floor(line) && lines.part[row] === 1 ? row : -1;
}

// Headings and lanes of which a part is in view.
function itemsInView() {
  const last = view.top + plot.height / plot.row, items = lines.items;
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].line + items[middle].height <= view.top) low = middle + 1; else high = middle;
  }
  const first = low;
  while (low < items.length && items[low].line < last) low++;
  return items.slice(first, low);
}

const trackName = (row) => {
  const [name, , , process] = M.tracks[rowTrack[row]];
  return M.processes.length > 1 ? `${M.processes[process][0]} › ${name}` : name;
};

// ---- labels: one element for each heading and lane in view
const labelBox = document.createElement('div');
labelBox.id = 'lanes';
const labelList = document.createElement('div');
labelBox.append(labelList);
const labelOf = new Map();
let labelledFor = '';

function makeLabel({ id, kind, number }) {
  const label = document.createElement('div'), words = document.createElement('span');
  label.className = { p: 'process', t: 'track', l: 'lane' }[kind];
  if (kind === 'l') {
    const layer = M.lanes[number][0], swatch = document.createElement('i');
    swatch.dataset.layer = layer;
    label.append(swatch);
    words.textContent = LAYERS[layer] || 'tftrace itself';
    label.title = M.layers[LAYERS[layer]] || "tftrace's own work, part of no layer of the program";
  } else {
    const [name, detail] = kind === 'p' ? M.processes[number] : M.tracks[number];
    words.textContent = name;
    label.title = kind === 'p' ? name : `${name}\n${detail}`;
  }
  label.append(words);
  if (foldable(kind, number)) {
    label.tabIndex = 0;
    label.setAttribute('role', 'button');
    label.addEventListener('click', () => toggle(id));
    label.addEventListener('keydown', (e) => {
      if (e.key !== 'Enter' && e.key !== ' ') return;
      e.preventDefault();
      toggle(id);
    });
  }
  return label;
}

function placeLabels() {
  const items = itemsInView(), ends = items.length ? [items[0].id, items[items.length - 1].id] : [];
  const key = [plot.row, plot.top, plot.left, plot.height, theme(), ...hidden, ...ends].join();
  if (key !== labelledFor) {
    labelledFor = key;
    labelBox.style.setProperty('--row', plot.row + 'px');
    Object.assign(labelBox.style, { top: plot.top + 'px', width: plot.left + 'px', height: plot.height + 'px' });
    const wanted = new Set(items.map(({ id }) => id));
    for (const [id, label] of labelOf) if (!wanted.has(id)) { label.remove(); labelOf.delete(id); }
    items.forEach((item, at) => {
      const { id, kind, number, line, height } = item;
      if (!labelOf.has(id)) labelOf.set(id, makeLabel(item));
      const label = labelOf.get(id);
      // In the order of the screen, for the Tab key; an element that has its place is not moved, which would take its focus.
      if (labelList.children[at] !== label) labelList.insertBefore(label, labelList.children[at] || null);
      label.style.top = line * plot.row + 'px';
      label.style.height = height * plot.row + 'px';
      if (foldable(kind, number)) label.setAttribute('aria-expanded', String(!folded.has(id)));
      const swatch = label.querySelector('i');
      if (!swatch) return;
      swatch.style.background = COLOURS[theme()][swatch.dataset.layer];
      label.classList.toggle('off', hidden.has(+swatch.dataset.layer));
    });
  }
  labelList.style.transform = `translateY(${-view.top * plot.row}px)`;
}
