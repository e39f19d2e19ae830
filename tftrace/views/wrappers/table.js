// The table of functions.
const COLUMNS = [
  { key: 'name', title: 'function', text: (f) => f.name },
  { key: 'category', title: 'is', text: category },
  { key: 'native', title: 'native function', text: (f) => f.native[0] || '',
    more: (f) => (f.native.length > 1 ? ` +${f.native.length - 1}` : '') },
  { key: 'ops', title: 'op calls', text: (f) => short(f.ops, 4) },
  { key: 'added', title: 'adds', text: (f) => short(f.added, 3) },
  { key: 'kernels', title: 'kernels', text: (f) => short(f.kernels, 3) },
  { key: 'python_us', title: 'Python', number: true, text: (f) => micros(f.python_us) },
  { key: 'native_us', title: "native's", number: true, text: (f) => micros(f.native_us) },
  { key: 'equal', title: 'numbers', text: same },
  { key: 'legacy', title: 'notes', text: (f) =>
    [f.legacy ? 'legacy' : '', f.documented === false ? 'no docs' : ''].filter(Boolean).join(', ') },
];

function drawHead() {
  const row = element('tr');
  for (const column of COLUMNS) {
    const cell = element('th', null, { scope: 'col', 'data-column': column.key });
    const button = element('button', column.title, { type: 'button', 'data-key': column.key });
    button.addEventListener('click', () => {
      order = { key: column.key, up: order.key === column.key ? !order.up : !column.number };
      draw();
    });
    cell.append(button);
    row.append(cell);
  }
  byId('functions').tHead.replaceChildren(row);
}

function sorted(rows) {
  const column = COLUMNS.find((c) => c.key === order.key);
  const value = column.number ? (f) => f[column.key] : column.text;
  const known = rows.filter((f) => value(f) !== null && value(f) !== '');
  const rest = rows.filter((f) => !(value(f) !== null && value(f) !== ''));
  known.sort((a, b) => {
    const x = value(a), y = value(b);
    return (x < y ? -1 : x > y ? 1 : 0) * (order.up ? 1 : -1);
  });
  return [...known, ...rest];  // what is not known comes last, whichever way
}

function drawTable(rows) {
  const body = element('tbody');
  for (const f of sorted(rows)) {
    const row = element('tr', null, { 'data-category': f.category });
    if (f === selected) row.setAttribute('aria-selected', 'true');
    for (const column of COLUMNS) {
      const cell = element('td', column.key === 'name' ? null : column.text(f), { 'data-column': column.key });
      if (column.key === 'name') {
        const button = element('button', f.name, { type: 'button' });
        button.addEventListener('click', () => select(f));
        cell.append(button);
      }
      if (column.key === 'category') cell.dataset.kind = f.category;
      if (column.more) cell.append(element('small', column.more(f)));
      row.append(cell);
    }
    row.addEventListener('click', (event) => { if (event.target.tagName !== 'BUTTON') select(f); });
    body.append(row);
  }
  byId('functions').tBodies[0].replaceWith(body);
  for (const button of byId('functions').tHead.querySelectorAll('button')) {
    const mine = button.dataset.key === order.key;
    button.parentNode.setAttribute('aria-sort', mine ? (order.up ? 'ascending' : 'descending') : 'none');
  }
}
