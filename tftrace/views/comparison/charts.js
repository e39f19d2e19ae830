// The three charts. Runs are told apart by colour and by pattern or symbol.

const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00'];
const PATTERNS = ['', '/', '.', 'x', '-', '+'];
const SYMBOLS = ['circle', 'square', 'diamond', 'triangle-up', 'triangle-down', 'cross'];
const MOST = 40; // problems in a chart: more cannot be read
const of = (list, at) => list[at % list.length];

function base(more) {
  const axis = { gridcolor: css('--rule'), zerolinecolor: css('--rule'), linecolor: css('--rule'), automargin: true };
  const { xaxis, yaxis, ...rest } = more;
  return {
    paper_bgcolor: css('--paper'), plot_bgcolor: css('--paper'), margin: { t: 10, r: 20, b: 50, l: 60 },
    font: { color: css('--text'), family: 'system-ui, "DejaVu Sans", sans-serif', size: 12 },
    hoverlabel: { bgcolor: css('--band'), bordercolor: css('--faint'), font: { color: css('--text') }, align: 'left' },
    legend: { orientation: 'h', y: 1, yanchor: 'bottom', x: 0 }, hovermode: 'closest',
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}
const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'] };

function draw(id, data, layout, rows, empty) {
  const place = byId(id), cut = place.parentElement.querySelector('.cut');
  const drawn = data.some((trace) => trace.x.length);
  cut.hidden = drawn && rows.all <= MOST;
  cut.textContent = drawn ? `The ${MOST} that cost most of ${count(rows.all)} are drawn: filter to see others.` : empty;
  place.hidden = !drawn;
  if (!drawn) return;
  Plotly.react(place, data, layout, CONFIG);
  if (!place.dataset.heard) {
    place.dataset.heard = 'yes';
    place.on('plotly_click', ({ points: [point] }) => { if (point.customdata !== undefined) open(Number(point.customdata)); });
  }
}

function drawBars(problems, all) {
  const shown = problems.slice(0, MOST).reverse();
  const data = M.traces.map((name, at) => {
    const rows = shown.filter((row) => row.runs[at].present && row.runs[at].time !== null);
    const runs = rows.map((row) => row.runs[at]);
    return {
      type: 'bar', orientation: 'h', name: plain(name), x: runs.map((r) => r.time), y: rows.map((row) => row.n),
      customdata: rows.map((row) => row.n), legendrank: at,
      error_x: {
        type: 'data', symmetric: false, color: css('--text'), thickness: 1.2, width: 3,
        array: runs.map((r) => r.high === null ? 0 : r.high - r.time), arrayminus: runs.map((r) => r.low === null ? 0 : r.time - r.low),
      },
      marker: { color: of(COLOURS, at), line: { color: css('--text'), width: 1 }, pattern: { shape: of(PATTERNS, at), fillmode: 'overlay', fgcolor: '#000000', fgopacity: 0.75, size: 7, solidity: 0.25 } },
      hoverinfo: 'text', textposition: 'none',
      text: rows.map((row, i) => hover(row, at, runs[i])),
    };
  }).reverse(); // the baseline on top
  draw('bars', data, base({
    barmode: 'group', bargap: 0.25, height: 110 + shown.length * (14 + 13 * M.traces.length),
    xaxis: { title: { text: 'time of a call, µs' }, type: byId('log').checked ? 'log' : 'linear' },
    yaxis: { tickmode: 'array', tickvals: shown.map((row) => row.n), ticktext: shown.map((row) => plain(row.short)), type: 'category', categoryorder: 'array', categoryarray: shown.map((row) => row.n), gridcolor: css('--paper') },
  }), { all }, 'No problem that is shown has a time.');
}

function hover(row, at, run) {
  const lines = [`<b>#${row.n} ${plain(row.op)}</b> ${plain(row.sizes)}`, `${plain(M.traces[at])}: ${plain(run.pick ?? 'not known')}`,
    `${formatTime(run.time)}${run.low === null ? '' : `, ${interval(run)}`} · ${counted(run.repetitions, 'repetition')}`];
  if (run.note) lines.push(plain(run.note));
  const change = row.changes.find((c) => c.run === at);
  if (change && change.text) lines.push(plain(`${change.text} ${change.judged}`));
  if (change && change.cause) lines.push(plain(change.cause));
  return lines.join('<br>');
}

function drawScatter(problems, all) {
  const shown = problems.slice(0, MOST), data = [];
  M.traces.forEach((name, at) => {
    for (const chosen of [true, false]) {
      const points = shown.flatMap((row) => (row.runs[at].candidates || [])
        .filter((c) => c.chosen === chosen && c.time > 0 && c.workspace !== null && c.status === 'ok').map((c) => ({ row, c })));
      if (!points.length) continue;
      data.push({
        type: 'scatter', mode: 'markers', name: `${plain(name)}: ${chosen ? 'chosen' : 'other candidates'}`,
        x: points.map(({ c }) => Math.log10(1 + c.workspace)), y: points.map(({ c }) => c.time), customdata: points.map(({ row }) => row.n),
        marker: { color: of(COLOURS, at), size: chosen ? 13 : 9, symbol: of(SYMBOLS, at) + (chosen ? '' : '-open'), line: { color: chosen ? css('--text') : of(COLOURS, at), width: 1.5 } },
        hoverinfo: 'text',
        text: points.map(({ row, c }) => `<b>#${row.n} ${plain(row.op)}</b> ${plain(row.sizes)}<br>${plain(name)}: ${plain(c.pick)}<br>${formatTime(c.time)}, ${formatBytes(c.workspace)}${c.of ? `<br>time of: ${plain(c.of)}` : ''}`),
      });
    }
  });
  draw('scatter', data, base({
    height: 430,
    xaxis: { title: { text: 'workspace' }, tickvals: [0, 3, 4, 5, 6, 7, 8, 9, 10], ticktext: ['0', '1 kB', '10 kB', '100 kB', '1 MB', '10 MB', '100 MB', '1 GB', '10 GB'] },
    yaxis: { title: { text: 'time of a call, µs' }, type: 'log' },
  }), { all }, 'No candidate that is shown tells both a time and a workspace.');
}

// Of all runs, so that colours of two runs can be compared.
function fastest(row) {
  return Math.min(...row.runs.flatMap((run) => run.candidates || []).filter((c) => c.time > 0).map((c) => c.time));
}

function drawHeat(problems, all) {
  const shown = problems.slice(0, MOST), rows = [], columns = new Map();
  for (const row of shown)
    row.runs.forEach((run, at) => { if (run.present && run.candidates.length) rows.push({ row, at, run }); });
  rows.reverse();
  for (const { run } of rows) for (const c of run.candidates) columns.set(c.pick, (columns.get(c.pick) || 0) + 1);
  const picks = [...columns.keys()], x = new Map(picks.map((pick, i) => [pick, i]));
  const z = [], text = [], ids = [], chosen = { x: [], y: [], customdata: [] }, failed = { x: [], y: [], customdata: [] };
  rows.forEach(({ row, at, run }, y) => {
    const best = fastest(row);
    const line = picks.map(() => null), said = picks.map(() => ''), id = picks.map(() => row.n);
    for (const c of run.candidates) {
      const i = x.get(c.pick);
      if (c.time > 0 && (line[i] === null || c.chosen)) line[i] = Math.log10(c.time / best);
      said[i] = `<b>#${row.n} ${plain(row.op)}</b> ${plain(row.sizes)}<br>${plain(M.traces[at])}: ${plain(c.pick)}<br>` +
        `${c.time > 0 ? `${formatTime(c.time)}, ${Number((c.time / best).toPrecision(3))} × the fastest of this problem` : 'no time'}${c.status === 'ok' ? '' : `, ${plain(c.status)}`}${c.chosen ? '<br>chosen' : ''}`;
      const list = c.chosen ? chosen : c.status === 'ok' ? null : failed;
      if (list) { list.x.push(i); list.y.push(y); list.customdata.push(row.n); }
    }
    z.push(line); text.push(said); ids.push(id);
  });
  const marks = (list, name, symbol) => ({
    type: 'scatter', mode: 'markers', name, ...list, hoverinfo: 'skip', showlegend: true,
    marker: { symbol, size: 10, color: '#ffffff', line: { color: '#000000', width: symbol === 'circle' ? 2 : 1 } },
  });
  const data = rows.length ? [{
    type: 'heatmap', x: picks.map((_, i) => i), y: rows.map((_, i) => i), z, text, customdata: ids, hoverinfo: 'text', xgap: 2, ygap: 2, zmin: 0, zmax: 1,
    colorscale: 'Cividis', reversescale: true, hoverongaps: false,
    colorbar: { title: { text: 'times the fastest', side: 'right' }, tickvals: [0, 0.301, 0.699, 1], ticktext: ['1', '2', '5', '10 and more'], outlinewidth: 0, len: 0.9 },
  }, marks(chosen, 'chosen', 'circle'), marks(failed, 'failed or not offered', 'x')] : [];
  const label = ({ row, at }) => plain(`${row.short.length > 34 ? `${row.short.slice(0, 33)}…` : row.short} · ${M.traces[at]}`);
  draw('heat', data, base({
    height: 200 + 22 * rows.length,
    xaxis: { tickvals: picks.map((_, i) => i), ticktext: picks.map((p) => plain(p.length > 44 ? `${p.slice(0, 43)}…` : p)), tickangle: -35, gridcolor: css('--paper'), zeroline: false },
    yaxis: { tickvals: rows.map((_, i) => i), ticktext: rows.map(label), gridcolor: css('--paper'), zeroline: false },
  }), { all }, 'No algorithm is known of the problems that are shown.');
}
