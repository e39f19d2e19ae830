// The tables: problems with their candidates behind a button, and ops, lines or kernels.

const opened = new Set();
let tab = 'ops';

function header(table, titles) {
  const row = element('tr');
  for (const title of titles) { const cell = element('th', title); cell.scope = 'col'; row.append(cell); }
  const head = element('thead'); head.append(row);
  const body = element('tbody');
  table.replaceChildren(head, body);
  return body;
}

function verdictCell(row) {
  const cell = element('td', undefined, 'verdict');
  cell.append(element('span', `${SIGN[row.verdict]} ${M.verdicts[row.verdict]}`, `tag ${row.verdict}`));
  if (row.evidence && row.evidence !== 'measured') cell.append(element('div', `matched by order: ${row.evidence}`, 'note'));
  return cell;
}

function timeCell(run) {
  const cell = element('td', undefined, 'number');
  if (!run.present) { cell.textContent = 'not in this run'; cell.className = 'absent'; return cell; }
  if (run.pick !== undefined) cell.append(element('div', run.pick ?? 'algorithm not known', 'pick'));
  if (run.evidence && run.evidence !== 'measured') cell.append(element('span', run.evidence, `evidence ${run.evidence}`));
  cell.append(element('div', formatTime(run.time)));
  const ends = interval(run);
  if (ends) cell.append(element('div', ends, 'note'));
  else if (run.note) cell.append(element('div', run.note, 'note'));
  return cell;
}

function changeCell(row, at) {
  const change = row.changes.find((c) => c.run === at), cell = element('td', undefined, 'number');
  if (!change) { cell.textContent = '–'; return cell; }
  if (change.text) cell.append(element('div', change.text));
  cell.append(element('div', `${change.time ? `${SIGN[change.time]} ` : ''}${change.judged}`, `judged ${change.time || ''}`));
  if (change.inAll !== null) {
    const step = change.perStep === null ? '' : `${signedTime(change.perStep)} a step, `;
    cell.append(element('div', `${step}${signedTime(change.inAll)} in all`, 'note'));
  }
  if (change.kernel) cell.append(element('div', `same algorithm, another kernel: ${row.runs[at].kernel}`, 'note'));
  if (change.cause) cell.append(element('div', change.cause, 'cause'));
  return cell;
}

const runTitles = () => M.traces.map((name, at) => at ? name : `${name} (baseline)`);
const changeTitles = () => M.traces.slice(1).map((name) => M.traces.length > 2 ? `change in ${name}` : 'change');

function fillProblems(rows) {
  const body = header(byId('problems'), ['#', 'problem', 'verdict', ...runTitles(), ...changeTitles()]);
  for (const row of rows) {
    const line = element('tr'); line.id = `p${row.n}`;
    const first = element('td');
    const button = element('button', `#${row.n}`); button.type = 'button'; button.title = 'Candidates of this problem';
    button.setAttribute('aria-expanded', opened.has(row.n));
    button.addEventListener('click', () => toggle(row.n));
    first.append(button);
    const what = element('td', undefined, 'what');
    what.append(element('b', row.op), element('div', row.sizes, 'sizes'), element('div', [row.form, ...row.devices].filter(Boolean).join(' · '), 'note'));
    line.append(first, what, verdictCell(row), ...row.runs.map(timeCell), ...M.traces.slice(1).map((_, i) => changeCell(row, i + 1)));
    body.append(line);
    if (opened.has(row.n)) body.append(details(row));
  }
}

function details(row) {
  const line = element('tr', undefined, 'details'), cell = element('td');
  line.id = `d${row.n}`;
  cell.colSpan = 3 + 2 * M.traces.length - 1;
  const facts = element('dl');
  for (const [name, value] of row.facts) facts.append(element('dt', name), element('dd', value));
  cell.append(facts);
  row.runs.forEach((run, at) => {
    if (!run.present) return;
    const box = element('div', undefined, 'run');
    box.append(element('h3', M.traces[at]));
    const said = [run.device, run.version && `${row.library} ${run.version}`, run.calls !== null && counted(run.calls, 'call'), counted(run.repetitions, 'repetition'),
      run.warmCalls && `warm-up ${formatTime(run.warm)} in ${counted(run.warmCalls, 'call')}`, run.tuning !== null && `tuning ${formatTime(run.tuning)}`, run.of && `time of: ${run.of}`];
    box.append(element('p', said.filter(Boolean).join(' · '), 'note'));
    for (const [pick, calls] of run.also) box.append(element('p', `also used ${pick}${calls === null ? '' : ` in ${counted(calls, 'call')}`}`, 'note'));
    const change = row.changes.find((c) => c.run === at);
    if (change && change.tried) box.append(element('p', `the baseline's algorithm here: ${change.tried}`, 'note'));
    const table = element('table'), inner = header(table, ['', 'candidate', 'time', 'workspace', 'status', 'evidence']);
    for (const c of run.candidates) {
      const one = element('tr', undefined, c.chosen ? 'chosen' : '');
      one.append(element('td', c.chosen ? '●' : ''), candidateCell(c), element('td', c.time > 0 ? formatTime(c.time) : '–', 'number'),
        element('td', formatBytes(c.workspace), 'number'), element('td', c.status), element('td', c.evidence));
      inner.append(one);
    }
    box.append(table);
    cell.append(box);
  });
  line.append(cell);
  return line;
}

function candidateCell(c) {
  const cell = element('td', c.pick, 'pick');
  if (c.kernel) cell.append(element('div', c.kernel, 'note'));
  return cell;
}

function toggle(number, show = !opened.has(number)) {
  const row = M.problems[number - 1], line = byId(`p${number}`);
  if (!line) return;
  if (show && !opened.has(number)) line.after(details(row));
  if (!show) byId(`d${number}`)?.remove();
  opened[show ? 'add' : 'delete'](number);
  line.querySelector('button').setAttribute('aria-expanded', show);
}

// From a chart to the problem's row.
function open(number) {
  toggle(number, true);
  for (const old of document.querySelectorAll('tr.hit')) old.classList.remove('hit');
  const line = byId(`p${number}`);
  line.classList.add('hit');
  line.scrollIntoView({ block: 'center' });
  line.querySelector('button').focus({ preventScroll: true });
}

const TABS = { ops: ['op', 'where'], lines: ['op', 'line'], kernels: ['kernel', 'layer'] };

function fillRows() {
  const rows = M.tables[tab].filter(fits), place = TABS[tab][1], placed = tab !== 'ops';
  for (const button of byId('tabs').children) {
    const own = button.dataset.tab === tab;
    button.setAttribute('aria-selected', own);
    button.textContent = `${button.dataset.tab} (${count(own ? rows.length : M.tables[button.dataset.tab].filter(fits).length)})`;
  }
  const body = header(byId('rows'), [TABS[tab][0], ...(placed ? [place] : []), 'verdict', 'count', ...runTitles(), ...changeTitles()]);
  for (const row of rows.slice(0, 500)) {
    const line = element('tr');
    line.append(element('td', row.name, 'pick'));
    if (placed) line.append(element('td', row.where, 'sizes'));
    const counts = row.runs.map((run) => count(run.count));
    line.append(verdictCell(row), element('td', new Set(counts).size === 1 ? counts[0] : counts.join(' | '), 'number'),
      ...row.runs.map(timeCell), ...M.traces.slice(1).map((_, i) => changeCell(row, i + 1)));
    body.append(line);
  }
  if (rows.length > 500) {
    const cell = element('td', `and ${count(rows.length - 500)} more: search to see them`, 'note'), line = element('tr');
    cell.colSpan = 20; line.append(cell); body.append(line);
  }
}
