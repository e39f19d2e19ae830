// The graph: functions, the types of op that they call, and the native functions that do the same. What one of them is
// joined to is lit up when it is pointed at, and shown alone when it is clicked.
const SVG = 'http://www.w3.org/2000/svg';
const ROW = 18, TOP = 30, PAD = 8;
let pinned = null;  // [column, name] that is shown alone

function svg(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// [[function, [ops], [natives]]]: the ops without repetition, of the natives the first
function links(rows) {
  return rows.map((f) => [f, [...new Set(f.ops)].filter((op) => !op.startsWith('and ')),
    f.native.filter((n) => !f.alias_of.includes(n)).slice(0, 1)]);
}

function columns(rows) {
  const found = links(rows), ops = new Map(), natives = new Map();
  const joined = (map, name, at) => (map.get(name) || map.set(name, []).get(name)).push(at);
  found.forEach(([, of, by], at) => {
    of.forEach((op) => joined(ops, op, at));
    by.forEach((native) => joined(natives, native, at));
  });
  // each as high as what it is joined to: few lines cross
  const middle = (places) => places.reduce((a, b) => a + b, 0) / places.length;
  const placed = (map) => [...map].sort((a, b) => middle(a[1]) - middle(b[1]) || (a[0] < b[0] ? -1 : 1)).map(([name]) => name);
  return { found, ops: placed(ops), natives: placed(natives) };
}

function drawGraph(rows) {
  const place = byId('graph');
  if (pinned) rows = rows.filter((f) => joinedTo(f, pinned));
  const { found, ops, natives } = columns(rows);
  const width = Math.max(place.clientWidth - 2 * PAD, 760);
  const height = TOP + ROW * Math.max(found.length, ops.length, natives.length, 1) + PAD;
  const x = [width * 0.34, width * 0.46, width * 0.62, width * 0.74];
  const y = (at, of) => TOP + (height - TOP - PAD) * ((at + 0.5) / Math.max(of, 1));
  const drawing = svg('svg', { width, height, role: 'img', 'aria-label': 'functions, their ops and native functions' });
  [['functions', x[0], 'end'], ['op types', (x[1] + x[2]) / 2, 'middle'], ['native functions', x[3], 'start']].forEach(
    ([title, at, anchor]) => drawing.append(svg('text', { x: at, y: 16, 'text-anchor': anchor, class: 'title' }, title)));
  const lines = svg('g', {}), names = svg('g', {});
  const opAt = new Map(ops.map((name, at) => [name, at])), nativeAt = new Map(natives.map((name, at) => [name, at]));
  const curve = (x0, y0, x1, y1) => `M${x0} ${y0}C${(x0 + x1) / 2} ${y0} ${(x0 + x1) / 2} ${y1} ${x1} ${y1}`;
  found.forEach(([f, of, by], at) => {
    const from = y(at, found.length);
    for (const op of of) {
      const to = y(opAt.get(op), ops.length);
      lines.append(line(curve(x[0] + 6, from, x[1] - 6, to), f, op, null));
      if (f.added.includes(op)) continue;  // the native function has no part in it
      for (const native of by) {
        lines.append(line(curve(x[2] + 6, to, x[3] - 6, y(nativeAt.get(native), natives.length)), f, op, native));
      }
    }
  });
  const label = (name, at, of, across, anchor, column, kind) => {
    const text = svg('text', { x: across, y: y(at, of) + 4, 'text-anchor': anchor, tabindex: 0, role: 'button', class: 'node' }, name);
    text.dataset.column = column;
    text.dataset.name = name;
    if (kind) text.dataset.kind = kind;
    names.append(text);
  };
  found.forEach(([f], at) => label(f.name, at, found.length, x[0], 'end', 'function', f.category));
  ops.forEach((op, at) => label(op, at, ops.length, (x[1] + x[2]) / 2, 'middle', 'op'));
  natives.forEach((native, at) => label(native, at, natives.length, x[3], 'start', 'native'));
  drawing.append(lines, names);
  place.replaceChildren(drawing);
  if (pinned) {
    const back = element('button', `only what is joined to ${pinned[1]}: show all`, { type: 'button', id: 'unpin' });
    back.addEventListener('click', () => { pinned = null; draw(); });
    place.prepend(back);
  }
}

function line(path, f, op, native) {
  const made = svg('path', { d: path });
  made.dataset.function = f.name;
  made.dataset.op = op;
  if (native) made.dataset.native = native;
  made.dataset.kind = f.category;
  return made;
}

function joinedTo(f, [column, name]) {
  const [, of, by] = links([f])[0];
  return column === 'function' ? f.name === name : (column === 'op' ? of : by).includes(name);
}

function light(node) {
  const drawing = byId('graph').querySelector('svg');
  if (!drawing) return;
  drawing.classList.toggle('lit', Boolean(node));
  const on = new Set();
  for (const path of drawing.querySelectorAll('path')) {
    const mine = node && path.dataset[node.dataset.column] === node.dataset.name;
    path.classList.toggle('on', Boolean(mine));
    if (mine) for (const column of ['function', 'op', 'native']) on.add(`${column} ${path.dataset[column]}`);
  }
  for (const text of drawing.querySelectorAll('.node')) {
    text.classList.toggle('on', text === node || on.has(`${text.dataset.column} ${text.dataset.name}`));
  }
}

function pin(node) {
  const { column, name } = node.dataset;
  if (column === 'function') {
    select(functions.find((f) => f.name === name));
    return;
  }
  pinned = [column, name];
  draw();
}

{
  const place = byId('graph');
  const node = (event) => (event.target.classList && event.target.classList.contains('node') ? event.target : null);
  place.addEventListener('pointerover', (event) => light(node(event)));
  place.addEventListener('focusin', (event) => light(node(event)));
  place.addEventListener('pointerleave', () => light(null));
  place.addEventListener('click', (event) => { if (node(event)) pin(node(event)); });
  place.addEventListener('keydown', (event) => {
    if (node(event) && (event.key === 'Enter' || event.key === ' ')) {
      event.preventDefault();
      pin(node(event));
    }
  });
}
