// Puts the page together: categories, search, tabs, the panel of one function.
let tab = 'table';

function draw() {
  const rows = shown();
  byId('found').textContent = rows.length === functions.length ? `${rows.length} functions` : `${rows.length} of ${functions.length}`;
  byId('none').hidden = rows.length > 0;
  byId('table').hidden = tab !== 'table';
  byId('graph').hidden = tab !== 'graph';
  if (tab === 'table') drawTable(rows);
  else drawGraph(rows);
}

function open(which) {
  tab = which;
  for (const name of ['table', 'graph']) {
    byId(`tab-${name}`).setAttribute('aria-selected', String(name === which));
    byId(`tab-${name}`).tabIndex = name === which ? 0 : -1;
  }
  draw();
}

function drawFilters() {
  const group = byId('filters');
  for (const [name, count] of Object.entries(meta.counts)) {
    if (!count) continue;
    const button = element('button', `${name} ${count}`, { type: 'button', 'aria-pressed': 'true', title: meta.meaning[name] });
    button.dataset.kind = name;
    button.addEventListener('click', () => {
      if (hidden.has(name)) hidden.delete(name); else hidden.add(name);
      button.setAttribute('aria-pressed', String(!hidden.has(name)));
      draw();
    });
    group.append(button);
  }
}

function list(names) {
  const made = element('ul');
  for (const name of names) made.append(element('li', name));
  return made;
}

function select(f) {
  selected = f;
  const body = byId('panel-body');
  const parts = [element('h2', f.name), element('p', `${category(f)}: ${meta.meaning[f.category]}`)];
  const add = (title, content) => {
    if (content === null || content === '' || (Array.isArray(content) && !content.length)) return;
    parts.push(element('h3', title));
    parts.push(Array.isArray(content) ? list(content) : element('p', String(content)));
  };
  add('Why it was not traced', f.reason);
  add('Other names of the same object', f.alias_of);
  add('Native functions with the same op calls', f.native.filter((n) => !f.alias_of.includes(n)));
  add('Native functions that it calls', f.calls);
  add('Called with', f.arguments.join(', '));
  add(f.mode === 'graph' ? 'Nodes that it makes' : 'Op calls', f.ops);
  add('Adds', f.added);
  add('Kernels that ran', f.kernels);
  add('Numbers', f.equal === null ? '' : f.equal ? 'bit for bit those of the native function' : 'not those of the native function');
  add('Python time of a call', f.python_us === null ? '' : micros(f.python_us)
    + (f.native_us === null ? '' : `, of ${f.native_timed} ${micros(f.native_us)}`)
    + (f.mode === 'graph' ? ' (to make the nodes)' : ''));
  add('Called with other arguments', f.cases.slice(1).map((c) => (c.error !== null ? `${c.dtype}: ${c.error}`
    : `${c.arguments.join(', ')}: ${c.ops.length ? short(c.ops, 8) : 'no op'}`)));
  add('Defined in', f.file === null ? '' : `${f.file}:${f.line}`);
  body.replaceChildren(...parts);
  byId('panel').hidden = false;
  byId('main').classList.add('narrow');
  byId('panel').focus();
  draw();
}

function close() {
  selected = null;
  byId('panel').hidden = true;
  byId('main').classList.remove('narrow');
  draw();
}

const darkMedia = matchMedia('(prefers-color-scheme: dark)');
const theme = () => document.documentElement.dataset.theme || (darkMedia.matches ? 'dark' : 'light');
const nameTheme = () => { byId('theme').textContent = theme() === 'dark' ? 'Light' : 'Dark'; };
byId('theme').addEventListener('click', () => {
  document.documentElement.dataset.theme = theme() === 'dark' ? 'light' : 'dark';
  nameTheme();
});
darkMedia.addEventListener('change', nameTheme);
byId('search').addEventListener('input', (event) => { wanted = event.target.value; pinned = null; draw(); });
byId('close').addEventListener('click', close);
for (const name of ['table', 'graph']) byId(`tab-${name}`).addEventListener('click', () => open(name));
byId('tabs').addEventListener('keydown', (event) => {
  if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
    open(tab === 'table' ? 'graph' : 'table');
    byId(`tab-${tab}`).focus();
  }
});
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && event.target !== byId('search')) {
    event.preventDefault();
    byId('search').focus();
  } else if (event.key === 'Escape') {
    if (!byId('panel').hidden) close();
    else if (event.target === byId('search')) { byId('search').value = ''; wanted = ''; draw(); }
  }
});
addEventListener('resize', () => { if (tab === 'graph') draw(); });
nameTheme();
drawFilters();
drawHead();
draw();
