// What is shown: the data, what the filters leave of it, and how numbers are written.

const byId = (id) => document.getElementById(id);
const M = JSON.parse(byId('meta').textContent);
const darkMedia = matchMedia('(prefers-color-scheme: dark)');
const theme = () => document.documentElement.dataset.theme || (darkMedia.matches ? 'dark' : 'light');
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Plotly reads some HTML in texts.
const plain = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const count = (n) => n.toLocaleString('en-US');
const counted = (n, one) => `${count(n)} ${one}${n === 1 ? '' : 's'}`;

function formatTime(us) {
  if (us === null || us === undefined) return '–';
  for (const [limit, scale, unit] of [[1e3, 1, 'µs'], [1e6, 1e3, 'ms'], [Infinity, 1e6, 's']])
    if (Math.abs(us) < limit * 0.9995) return `${Number((us / scale).toPrecision(3))} ${unit}`;
}
const signedTime = (us) => us === null || us === undefined ? '–' : `${us > 0 ? '+' : us < 0 ? '−' : ''}${formatTime(Math.abs(us))}`;
function interval({ low, high }) {
  return low === null || low === undefined ? '' : `${formatTime(low)} to ${formatTime(high)}`;
}
function formatBytes(bytes) {
  if (bytes === null || bytes === undefined) return '–';
  for (const [limit, scale, unit] of [[1e3, 1, 'B'], [1e6, 1e3, 'kB'], [1e9, 1e6, 'MB'], [Infinity, 1e9, 'GB']])
    if (bytes < limit) return `${Number((bytes / scale).toPrecision(3))} ${unit}`;
}

// A sign beside each colour: nothing is told by colour alone.
const SIGN = { algorithm_changed: '≠', only_in_some: '∅', slower: '▲', faster: '▼', within_noise: '≈', same: '=', not_judged: '?' };

const filters = { search: '', op: '', direction: '', device: '', verdict: '' };

function texts(row) {
  const parts = [row.op, row.name, row.where, row.direction, row.sizes, row.form, row.library, M.verdicts[row.verdict], ...(row.devices || [])];
  for (const run of row.runs)
    if (run.candidates) parts.push(run.pick, ...run.also.map(([pick]) => pick), ...run.candidates.map((c) => c.pick));
  for (const change of row.changes) parts.push(change.cause, change.judged);
  return parts.filter(Boolean).join('\n').toLowerCase();
}
for (const row of [...M.problems, ...Object.values(M.tables).flat()]) row.text = texts(row);

const words = () => filters.search.toLowerCase().split(/\s+/).filter(Boolean);
function fits(row) {
  return words().every((word) => row.text.includes(word)) && (!filters.verdict || row.verdict === filters.verdict);
}
function shownProblems() {
  return M.problems.filter((row) => fits(row) && (!filters.op || row.op === filters.op) &&
    (!filters.direction || row.direction === filters.direction) && (!filters.device || row.devices.includes(filters.device)));
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}
