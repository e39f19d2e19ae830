// What is shown: the functions, the filter, and how things are written. Text is set as text, never as HTML.
const meta = JSON.parse(document.getElementById('meta').textContent);
const functions = meta.functions;
const byId = (id) => document.getElementById(id);

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== null && text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const hidden = new Set();  // categories
let wanted = '';
let order = { key: 'name', up: true };
let selected = null;

// as on the command line: what is asked for may stand anywhere in any of the names
const haystack = new Map(functions.map((f) => [f,
  [f.name, f.category, f.beneath, ...f.native, ...f.ops, ...f.kernels, ...f.alias_of,
    f.legacy ? 'legacy' : '', f.documented === false ? 'undocumented' : ''].join('\n').toLowerCase()]));

function shown() {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return functions.filter((f) => !hidden.has(f.category) && words.every((word) => haystack.get(f).includes(word)));
}

function micros(us) {
  if (us === null) return '';
  for (const [limit, scale, unit] of [[999.5, 1, 'us'], [999500, 1e3, 'ms'], [Infinity, 1e6, 's']]) {
    if (us < limit) {
      const value = us / scale;
      return `${value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
    }
  }
  return '';
}

// `Cast, Mul x2, and 3 more`
function short(names, most) {
  const runs = [];
  for (const name of names) {
    if (runs.length && runs[runs.length - 1][0] === name) runs[runs.length - 1][1] += 1;
    else runs.push([name, 1]);
  }
  const told = runs.map(([name, times]) => (times === 1 ? name : `${name} x${times}`));
  return told.slice(0, most).join(', ') + (told.length > most ? ` and ${told.length - most} more` : '');
}

const same = (f) => (f.equal === true ? 'same' : f.equal === false ? 'differ' : '');
const category = (f) => (f.beneath ? `${f.category} (${f.beneath})` : f.category);
