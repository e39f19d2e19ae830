// Start: what differs between the runs, the filters, and drawing anew when one of them changes.

function describeRuns() {
  const body = header(byId('environment'), ['', ...runTitles()]);
  const rows = [...M.environment.map((d) => [d.name, ...d.values.map((v) => v ?? '–')])];
  if (M.runs.some((r) => r.steps)) rows.push(['steps', ...M.runs.map((r) => r.steps === null ? '–' : count(r.steps))]);
  if (M.runs.some((r) => r.tracing)) rows.push(['Python time to trace graphs', ...M.runs.map((r) => formatTime(r.tracing))]);
  for (const values of rows) {
    const line = element('tr');
    values.forEach((value, i) => line.append(element(i ? 'td' : 'th', value)));
    body.append(line);
  }
  const said = [], S = M.summary;
  if (!M.environment.length) said.push('Nothing visible differs between the runs: versions, devices, machine, settings.');
  if (M.counts.length) said.push(`${counted(M.problems.length, 'problem')}: ${M.counts.join(', ')}.`);
  if (S.unexplained) said.push(`${count(S.unexplained)} picks changed for no visible reason.`);
  if (S.unjudged) said.push(`${count(S.unjudged)} differences cannot be judged, because a run has one repetition only or times of another kind.`);
  for (const [at, us] of S.in_all_us) said.push(`Outside the noise: ${signedTime(us)} over all library calls of ${M.traces[at]}.`);
  for (const [at, ratio] of S.unchanged_ratio)
    if (Math.abs(ratio - 1) > 0.1)
      said.push(`Unchanged algorithms ran ${ratio > 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(0)} % in ${M.traces[at]} at the median: the machine's state or other load is in all of these times.`);
  for (const gate of M.gates) said.push(`Gate ${gate.gate}: ${gate.failed ? `FAILED (${gate.failures.length}): ${gate.failures[0]}` : 'passed'}.`);
  byId('summary').replaceChildren(...said.map((line) => element('li', line)));
}

function fillSelect(id, all, values) {
  const select = byId(id);
  select.replaceChildren(new Option(all, ''), ...values.map(([value, text]) => new Option(text, value)));
  select.disabled = values.length < 2;
  select.addEventListener('change', () => { filters[id] = select.value; update(); });
}
const distinct = (values) => [...new Set(values.filter(Boolean))].sort().map((v) => [v, v]);

function update() {
  const problems = shownProblems(), all = problems.length;
  byId('found').textContent = `${count(all)} of ${count(M.problems.length)} problem${M.problems.length === 1 ? '' : 's'}`;
  drawBars(problems, all);
  drawScatter(problems, all);
  drawHeat(problems, all);
  fillProblems(problems);
  fillRows();
}

function themeChanged() {
  byId('theme').textContent = theme() === 'dark' ? 'Light' : 'Dark';
  update();
}

function start() {
  describeRuns();
  fillSelect('op', 'every op', distinct(M.problems.map((row) => row.op)));
  fillSelect('direction', 'every direction', distinct(M.problems.map((row) => row.direction)));
  fillSelect('device', 'every device', distinct(M.problems.flatMap((row) => row.devices)));
  const rows = [...M.problems, ...Object.values(M.tables).flat()];
  fillSelect('verdict', 'every verdict', Object.entries(M.verdicts).filter(([v]) => rows.some((row) => row.verdict === v)).map(([v, text]) => [v, `${SIGN[v]} ${text}`]));
  for (const name of Object.keys(TABS)) {
    const button = element('button', name); button.type = 'button'; button.dataset.tab = name; button.setAttribute('role', 'tab');
    button.addEventListener('click', () => { tab = name; fillRows(); });
    byId('tabs').append(button);
  }
  if (!M.problems.length) {
    byId('nothing').hidden = false;
    for (const section of document.querySelectorAll('.chart, #table')) section.hidden = true;
  }
  byId('search').addEventListener('input', (e) => { filters.search = e.target.value; update(); });
  byId('log').addEventListener('change', update);
  byId('theme').addEventListener('click', () => {
    document.documentElement.dataset.theme = theme() === 'dark' ? 'light' : 'dark';
    themeChanged();
  });
  darkMedia.addEventListener('change', themeChanged);
  document.addEventListener('keydown', (e) => {
    if (e.key === '/' && !/INPUT|SELECT/.test(e.target.tagName)) { e.preventDefault(); byId('search').focus(); }
    if (e.key === 'Escape' && e.target.id === 'search') { e.target.value = filters.search = ''; update(); }
  });
  themeChanged();
  document.documentElement.dataset.ready = 'yes';
}

start();
