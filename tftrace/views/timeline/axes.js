// Plotly's part: legend, hover label, modebar; and the hand: wheel, drag, keys, deep link.

const gd = byId('plot');
const SHORTEST_VIEW = 50; // ns
const MARGIN = { l: 196, r: 40, t: 30, b: 40 };

function formatTime(ns, digits = 4) {
  const size = Math.abs(ns);
  const [unit, name] = size >= 1e9 ? [1e9, 's'] : size >= 1e6 ? [1e6, 'ms'] : size >= 1e3 ? [1e3, 'µs'] : [1, 'ns'];
  return `${+(ns / unit).toPrecision(digits)} ${name}`;
}

function plotColours() {
  const ink = INK[theme()], colour = COLOURS[theme()];
  return {
    layout: {
      'font.color': ink.text, 'legend.font.color': ink.text, 'modebar.color': ink.faint, 'modebar.activecolor': ink.text, 'modebar.bgcolor': 'rgba(0,0,0,0)',
    },
    markers: { 'marker.color': LAYERS.map((_, i) => colour[i]), 'marker.line.color': LAYERS.map(() => ink.faint) },
  };
}

async function makePlot() {
  // One empty trace a layer: the legend. The events themselves are drawn on the canvas.
  const traces = LAYERS.map((name, i) => ({
    type: 'scatter', mode: 'markers', x: [null], y: [null], name, hoverinfo: 'skip',
    marker: { symbol: 'square', size: 12, color: COLOURS[theme()][i], line: { width: 1, color: INK[theme()].faint } },
  }));
  const layout = {
    margin: MARGIN, dragmode: false, hovermode: false, showlegend: true, autosize: true,
    legend: { orientation: 'h', x: 0, y: 0, yanchor: 'top', itemsizing: 'trace' },
    font: { family: 'system-ui, sans-serif', size: 12 },
    modebar: { orientation: 'v' },
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    xaxis: { range: [0, 1], fixedrange: true, visible: false }, // axis.js draws the time: a relayout takes as long as a frame may
    yaxis: { range: [1, 0], fixedrange: true, visible: false },
  };
  const button = (name, title, path, click) => ({ name, title, click, icon: { width: 24, height: 24, path } });
  await Plotly.newPlot(gd, traces, layout, {
    displaylogo: false, displayModeBar: true, responsive: true, scrollZoom: false, doubleClick: false,
    modeBarButtons: [[
      button('in', 'Zoom in (w)', 'M10 4h4v6h6v4h-6v6h-4v-6H4v-4h6z', () => zoom(0.5)),
      button('out', 'Zoom out (s)', 'M4 10h16v4H4z', () => zoom(2)),
      button('all', 'Whole trace (0)', 'M3 3h7v3H6v4H3zM14 3h7v7h-3V6h-4zM3 14h3v4h4v3H3zM18 14h3v7h-7v-3h4z', wholeTrace),
    ]],
  });
  const svg = gd.querySelector('.svg-container');
  svg.querySelector('.main-svg').after(canvas); // below legend and hover label
  svg.append(labelBox, axisBox);
  await recolour();
  gd.on('plotly_restyle', () => {
    hidden.clear();
    gd.data.forEach((trace, i) => trace.visible === 'legendonly' && hidden.add(i));
    redraw();
  });
  gd.on('plotly_afterplot', redraw);
}

async function recolour() {
  const { layout, markers } = plotColours();
  await Plotly.update(gd, markers, layout);
  labelledFor = '';
  redraw();
}

function measure() {
  if (gd._fullLayout) {
    const { xaxis, yaxis } = gd._fullLayout;
    Object.assign(plot, { left: xaxis._offset, top: yaxis._offset, width: xaxis._length, height: yaxis._length });
  } else { // before plotly is there: where it will lay its axes
    const { l: left, r: right, t: top, b: bottom } = MARGIN;
    Object.assign(plot, { left, top, width: gd.clientWidth - left - right, height: gd.clientHeight - top - bottom });
  }
  plot.row = Math.max(17, Math.min(28, Math.floor(plot.height / lines.count)));
}

// ---- view
let drag = null;

function setView(t0, t1, top = view.top) {
  const widest = M.span * 1.2, width = Math.min(Math.max(t1 - t0, SHORTEST_VIEW), widest);
  const middle = Math.min(Math.max((t0 + t1) / 2, -M.span * 0.1 + width / 4), M.span * 1.1 - width / 4);
  view.t0 = middle - width / 2;
  view.t1 = middle + width / 2;
  view.top = Math.max(0, Math.min(top, lines.count - plot.height / plot.row));
  if (hovered) unhover(); // what it tells is elsewhere now
  redraw();
  remember();
}

function zoom(factor, at = 0.5) {
  const width = view.t1 - view.t0, centre = view.t0 + at * width;
  setView(centre - at * width * factor, centre + (1 - at) * width * factor);
}
const pan = (part) => setView(view.t0 + part * (view.t1 - view.t0), view.t1 + part * (view.t1 - view.t0));
const wholeTrace = () => setView(-M.span * 0.01, M.span * 1.01, 0);

// Brings an event into view, with room around it.
function showEvent(event) {
  const inTime = event.t >= view.t0 && event.t + event.d <= view.t1 && event.d > (view.t1 - view.t0) / 200;
  uncover(event.row);
  const rows = plot.height / plot.row, line = lines.at[event.row], inRows = line >= view.top + 1 && line < view.top + rows - 1;
  const room = Math.max(event.d * 2, 200);
  const [t0, t1] = inTime ? [view.t0, view.t1] : [event.t - room, event.t + event.d + room];
  setView(t0, t1, inRows ? view.top : line - rows / 3);
}

// ---- deep link: #t=start,end in seconds from the start of the trace, &f=folded, &e=event, &r=start,end of totals
const seconds = (ns) => (ns / 1e9).toFixed(9).replace(/0+$/, '').replace(/\.$/, '');
let linkTimer = 0, followed = false, written = location.hash;
function remember() {
  if (!followed) return; // the page is still being made: what its address asks for must stand there until it is done
  clearTimeout(linkTimer);
  linkTimer = setTimeout(() => {
    if (location.hash !== written) return; // a new address, which is about to be followed
    const chosen = selection ? `&e=${selection.rank}` : range ? `&r=${seconds(range.t0)},${seconds(range.t1)}` : '';
    const shut = folded.size ? `&f=${foldedText()}` : '';
    const hash = `#t=${seconds(view.t0)},${seconds(view.t1)}${shut}${chosen}`;
    try { history.replaceState(null, '', hash); } catch { /* a page in a sandboxed frame has no history */ }
    written = location.hash;
  }, 250);
}

function linked(name) {
  const found = new RegExp(`[#&]${name}=(-?[\\d.]+),(-?[\\d.]+)`).exec(location.hash);
  return found && +found[2] > +found[1] ? [Math.round(found[1] * 1e9), Math.round(found[2] * 1e9)] : null;
}

function followView() {
  const stretch = linked('t');
  foldFrom((/[#&]f=([\w.-]+)/.exec(location.hash) || ['', ''])[1]);
  if (stretch) setView(...stretch);
  else wholeTrace();
}

function followLink() {
  followed = true;
  written = location.hash;
  const counted = linked('r'), chosen = /[#&]e=(\d+)/.exec(location.hash);
  followView();
  if (chosen) select(+chosen[1]);
  else if (counted) showTotals(...counted);
}

// ---- hand
const inPlot = (e) => {
  const box = gd.getBoundingClientRect(), x = e.clientX - box.left - plot.left, y = e.clientY - box.top - plot.top;
  return { x, y, inside: x >= 0 && x <= plot.width && y >= 0 && y <= plot.height, beside: x < 0 && y >= 0 && y <= plot.height, above: x >= 0 && x <= plot.width && y < 0 };
};

function listen() {
  gd.addEventListener('wheel', (e) => {
    const p = inPlot(e);
    if (!p.inside && !p.beside) return;
    e.preventDefault();
    e.stopImmediatePropagation();
    const pixels = (v) => v * [1, 16, 100][e.deltaMode];
    if (p.beside || e.altKey) setView(view.t0, view.t1, view.top + pixels(e.deltaY) / plot.row);
    else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) pan(pixels(e.deltaX || e.deltaY) / plot.width);
    else zoom(Math.exp(Math.max(-0.6, Math.min(0.6, pixels(e.deltaY) / 400))), p.x / plot.width);
  }, { capture: true, passive: false });
  gd.addEventListener('pointerdown', (e) => {
    const p = inPlot(e), total = e.ctrlKey || e.metaKey || p.above;
    if (e.button || !(p.inside || p.above) || e.target.closest('.modebar, .legend')) return;
    drag = { ...p, ...view, box: total ? 'totals' : e.shiftKey && 'zoom', moved: false };
    unhover();
  }, true);
  addEventListener('pointermove', (e) => {
    if (!drag) return;
    const p = inPlot(e), dx = p.x - drag.x, dy = p.y - drag.y;
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag.moved = true;
    gd.classList.add('dragging');
    if (drag.box) { stretch(drag.x, p.x); return; }
    const shift = (dx / plot.width) * (drag.t1 - drag.t0);
    setView(drag.t0 - shift, drag.t1 - shift, drag.top - dy / plot.row);
  });
  addEventListener('pointerup', (e) => {
    if (!drag) return;
    const done = drag, p = inPlot(e);
    drag = null;
    gd.classList.remove('dragging');
    byId('stretch').hidden = true;
    if (!done.moved) click(p);
    else if (done.box) {
      const at = (x) => done.t0 + (Math.max(0, Math.min(plot.width, x)) / plot.width) * (done.t1 - done.t0);
      const [t0, t1] = [at(done.x), at(p.x)].sort((a, b) => a - b);
      if (done.box === 'zoom') setView(t0, t1);
      else showTotals(Math.round(t0), Math.round(t1));
    }
  });
  addEventListener('pointercancel', () => { drag = null; gd.classList.remove('dragging'); });
  let move = null;
  gd.addEventListener('mousemove', (e) => {
    if (!move) requestAnimationFrame(() => { if (!drag) hover(inPlot(move)); move = null; });
    move = e;
  });
  gd.addEventListener('mouseleave', () => requestAnimationFrame(unhover));
  const seek = (e) => {
    const box = overview.getBoundingClientRect(), half = (view.t1 - view.t0) / 2;
    const t = ((e.clientX - box.left - plot.left) / plot.width) * M.span;
    setView(t - half, t + half);
  };
  overview.addEventListener('pointerdown', (e) => { overview.setPointerCapture(e.pointerId); seek(e); });
  overview.addEventListener('pointermove', (e) => e.buttons & 1 && seek(e));
  addEventListener('hashchange', followLink);
  addEventListener('keydown', keys);
}

// Shows the stretch of time that a drag will zoom to, or count.
function stretch(a, b) {
  const box = byId('stretch'), outer = gd.getBoundingClientRect(), parent = box.parentElement.getBoundingClientRect();
  box.hidden = false;
  Object.assign(box.style, {
    left: outer.left - parent.left + plot.left + Math.min(a, b) + 'px', width: Math.abs(b - a) + 'px',
    top: outer.top - parent.top + plot.top + 'px', height: plot.height + 'px',
  });
  box.textContent = formatTime((Math.abs(b - a) / plot.width) * (view.t1 - view.t0));
}

function keys(e) {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);
  if (e.key === 'Escape') { escape(); return; }
  if (typing) return;
  const act = {
    w: () => zoom(0.6), s: () => zoom(1 / 0.6), a: () => pan(-0.2), d: () => pan(0.2), 0: wholeTrace,
    '/': () => byId('search').select(), ArrowUp: () => setView(view.t0, view.t1, view.top - 2),
    ArrowDown: () => setView(view.t0, view.t1, view.top + 2), ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2),
    f: foldAll, '?': () => byId('help').toggleAttribute('open'),
  }[e.key];
  if (!act || (e.target.closest('#panel') && e.key.startsWith('Arrow'))) return;
  e.preventDefault();
  act();
}

function escape() {
  if (byId('help').open) byId('help').open = false;
  else if (!byId('panel').hidden) closePanel();
  else clearSearch();
}
