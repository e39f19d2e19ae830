// Hover label and the side panel: what one event is, and the chain of its call through the eight layers.

const count = (n) => Math.round(n).toLocaleString('en');

// What lies under the pointer: an event, or a block of merged ones.
function hit({ x, y, inside }) {
  if (!inside) return null;
  const row = rowAt(y / plot.row + view.top), slack = (2 * (view.t1 - view.t0)) / plot.width;
  const t = view.t0 + (x / plot.width) * (view.t1 - view.t0);
  if (row < 0 || hidden.has(rowLayer[row])) return null;
  let best = null;
  for (const chunk of shown.chunks) {
    const low = chunk.off[row], high = chunk.off[row + 1];
    const after = lowerBound(chunk.t, low, high, t + slack);
    for (let i = after - 1; i >= low && i >= after - 3; i--) {
      const away = Math.max(chunk.t[i] - t, t - chunk.t[i] - chunk.d[i], 0);
      if (away <= slack && (!best || away < best.away || (away === best.away && chunk.kind === 'E')))
        best = { chunk, i, row, away };
    }
  }
  return best;
}

// Plotly reads a little HTML in hover texts: everything from the trace is escaped.
const escaped = (s, limit = 110) => (s.length > limit ? s.slice(0, limit - 1) + '…' : s)
  .replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const algorithmOf = (attrs) => [attrs.implementation, attrs.algorithm, attrs.engine && `engine ${attrs.engine}`].filter(Boolean);

function hoverLines({ chunk, i, row }) {
  const info = infoOf(chunk.info[i]), track = trackName(row);
  if (chunk.kind === 'M') return [
    `<b>${count(chunk.count[i])} event${chunk.count[i] === 1 ? '' : 's'}</b> drawn as one block`,
    `longest: ${escaped(info.name)}`, `${escaped(info.layerName)} · ${escaped(track)}`,
    `busy ${(chunk.busy[i] / 2.55).toFixed(0)} % of ${formatTime(chunk.d[i])}`, '<i>click to zoom in</i>',
  ];
  const { kind, attrs } = info, site = kind && kind.site, lines = [`<b>${escaped(info.name)}</b>`];
  lines.push(`${formatTime(chunk.d[i])}${info.open ? ' (not ended)' : ''} · ${escaped(info.layerName)} · ${escaped(track)}`);
  const shapes = attrs.shapes || (kind && kind.shapes) || attrs.shape, dtypes = attrs.dtypes || (kind && kind.dtypes);
  if (shapes) lines.push(escaped([shapes, dtypes].filter(Boolean).join(' ')));
  for (const found of algorithmOf(attrs)) lines.push(escaped(found));
  if (site && site.file) lines.push(escaped(shortPlace(place(site.file, site.line))) + (site.code ? `  <i>${escaped(site.code.trim(), 80)}</i>` : ''));
  if (site && site.op && !info.name.includes(site.op)) lines.push(escaped(`${site.op}${site.node ? ` · node ${site.node}` : ''}`));
  return lines;
}

const shortPlace = (where) => where && where.split('/').slice(-2).join('/');

let hovered = false;
function hover(p) {
  const found = hit(p);
  hovered = Boolean(found);
  gd.classList.toggle('over', Boolean(found));
  if (!found) { unhover(); return; }
  const ink = INK[theme()];
  Plotly.Fx.loneHover({
    x: plot.left + p.x, y: plot.top + p.y, text: hoverLines(found).join('<br>'), color: ink.band,
    borderColor: COLOURS[theme()][rowLayer[found.row]], fontColor: ink.text, fontFamily: 'system-ui, sans-serif', fontSize: 12,
  }, { container: gd._fullLayout._hoverlayer.node(), outerContainer: gd, gd });
}

function unhover() {
  hovered = false;
  gd.classList.remove('over');
  Plotly.Fx.loneUnhover(gd._fullLayout._hoverlayer.node());
}

function click(p) {
  const found = hit(p);
  if (!found) return;
  const { chunk, i } = found;
  if (chunk.kind === 'E') select(chunk.rank[i]);
  else setView(chunk.t[i] - chunk.d[i] * 0.1, chunk.t[i] + chunk.d[i] * 1.1);
}

// ---- the chain
const LIMIT = { relatives: 400, entries: 6, arrows: 60 };

// Walks the links from `rank` in one direction; each event once, nearest first.
async function walk(step, rank) {
  const seen = new Set([rank]), links = [];
  let edge = [rank], cut = false;
  while (edge.length && !cut) {
    const next = [];
    for (const link of await step(edge)) {
      const other = link.parent === rank || seen.has(link.parent) ? link.child : link.parent;
      links.push(link);
      if (seen.has(other)) continue;
      cut = seen.size >= LIMIT.relatives;
      if (cut) break;
      seen.add(other);
      next.push(other);
    }
    edge = next;
  }
  return { seen, links, cut };
}

async function chainOf(rank) {
  const r = await loadRelations(), calls = await r.callsOf(rank);
  const [up, down] = [await walk(r.above, rank), await walk(r.below, rank)];
  const members = calls.length ? (await r.eventsOf(calls[0].number)).slice(0, LIMIT.relatives) : [];
  const ranks = [...new Set([rank, ...up.seen, ...members, ...down.seen])];
  const inside = new Set(ranks);
  const links = (await r.above(ranks)).filter(({ parent }) => inside.has(parent));
  const events = await findEvents(ranks);
  const call = calls.length ? calls[0] : null;
  return { rank, events, links, call, caller: call && call.parent >= 0 ? await r.call(call.parent) : null,
    sharedWith: calls.length - 1, cut: up.cut || down.cut };
}

let selecting = 0;
async function select(rank, show = false) {
  const turn = ++selecting;
  const chain = await chainOf(rank).catch((error) => { if (!serverGone) throw error; });
  if (!chain || turn !== selecting || !chain.events.has(rank)) return;
  selection = { ...chain, links: chain.links.slice(0, LIMIT.arrows) };
  range = null;
  await showPanel('Selected event', panelParts(chain));
  if (show) showEvent(chain.events.get(rank));
  redraw();
  remember();
}

async function showPanel(label, parts) {
  const panel = byId('panel'), wasHidden = panel.hidden;
  panel.hidden = false;
  panel.setAttribute('aria-label', label);
  byId('panel-body').replaceChildren(...parts);
  if (wasHidden) await Plotly.Plots.resize(gd);
  else panel.scrollTop = 0;
  measure();
}

async function closePanel() {
  selecting++;
  selection = range = null;
  byId('panel').hidden = true;
  await Plotly.Plots.resize(gd);
  redraw();
  remember();
}

// ---- building the panel; text goes in as text, never as HTML
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'onclick') node.addEventListener('click', value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== ''));
  return node;
}

function facts(rows) {
  const list = el('dl');
  for (const [name, value] of rows) if (value !== null && value !== undefined && value !== '') list.append(el('dt', {}, name), el('dd', { dir: 'auto' }, String(value)));
  return list;
}

function panelParts(chain) {
  const event = chain.events.get(chain.rank), info = infoOf(event.info), call = chain.call || info.kind;
  const site = call && call.site, parts = [];
  parts.push(el('p', { class: 'kind' }, swatch(info.layer), info.layerName, ' · ', trackName(event.row)));
  parts.push(el('h2', { dir: 'auto' }, info.name));
  parts.push(facts([
    ['duration', formatTime(event.d, 6) + (info.open ? ' (had not ended when the process did)' : '')],
    ['start', `${formatTime(event.t, 9)} after the trace began`],
    ['event_id', M.rowIds ? chain.rank : null],
    ...Object.entries(info.attrs).map(([name, value]) => [name.replaceAll('_', ' '), value]),
  ]));
  if (site) parts.push(...siteParts(site, chain));
  parts.push(el('h3', {}, 'Chain'), chainList(chain, site));
  if (chain.cut) parts.push(el('p', { class: 'note' }, `Only the nearest ${LIMIT.relatives} linked events are listed.`));
  const withNative = [event, ...[...chain.events.values()].sort((a, b) => a.t - b.t)].map((e) => infoOf(e.info))
    .find((i) => i.stack >= 0 && framesOf(i.stack).some((f) => f.native));
  if (withNative) parts.push(stackPart(`Native stack of ${withNative.name}`, withNative.stack, true));
  if (info.stack >= 0 && framesOf(info.stack).some((f) => !f.native)) parts.push(stackPart('Python stack', info.stack, false));
  return parts;
}

function siteParts(site, chain) {
  const call = chain.call, parts = [el('h3', {}, 'Call')];
  if (site.file) parts.push(codeLine(place(site.file, site.line), site.code));
  for (const caller of site.callers) if (caller.place) parts.push(codeLine(caller.place, caller.code, site.graph ? 'traced from' : 'called from'));
  const caller = chain.caller && chain.caller.site;
  if (caller && caller.file) parts.push(codeLine(place(caller.file, caller.line), caller.code, 'the graph was run by'));
  const status = call && call.status && call.status !== 'ok' ? call.status : null;
  parts.push(facts([
    ['op', site.op], ['mode', site.mode], ['graph', site.graph], ['node', site.node],
    ['shapes', call && call.shapes], ['dtypes', call && call.dtypes], ['attributes', call && call.opAttrs], ['device', call && call.device],
    ['call took', call && call.total !== undefined && call.total !== null ? formatTime(call.total, 6) : null],
    ['step', call && call.step], ['warm-up', call && call.warmUp ? 'yes: first time on these shapes, or tracing' : null],
    ['status', status], ['executions', site.executions === null ? null : count(site.executions) + ' of this site in the run'],
    ['shared', chain.sharedWith > 0 ? `this event serves ${count(chain.sharedWith)} more call${chain.sharedWith > 1 ? 's' : ''}` : null],
  ]));
  return parts;
}

const codeLine = (where, code, lead) => el('p', { class: 'line' }, lead ? el('span', { class: 'lead' }, lead) : '',
  el('span', { class: 'place', title: where }, shortPlace(where)), code ? el('code', {}, code.trim()) : '');

const swatch = (layer) => {
  const mark = el('i', { class: 'swatch' });
  mark.style.background = COLOURS[theme()][layer];
  mark.dataset.layer = layer;
  return mark;
};

function chainList(chain, site) {
  const list = el('ol', { class: 'chain' }), byLayer = LAYERS.map(() => []);
  for (const event of [...chain.events.values()].sort((a, b) => a.t - b.t || a.row - b.row)) {
    const layer = S.info_layer[event.info];
    if (byLayer[layer]) byLayer[layer].push(event);
  }
  LAYERS.forEach((name, layer) => {
    const found = byLayer[layer], item = el('li', { 'data-layer': name }, el('b', {}, swatch(layer), name));
    if (found.length) item.append(...layerEntries(found, chain));
    else item.append(unseen(name, layer, site, chain.call));
    list.append(item);
  });
  return list;
}

function layerEntries(found, chain) {
  const own = found.findIndex((e) => e.rank === chain.rank), first = found.slice(0, LIMIT.entries);
  if (own >= LIMIT.entries) first[first.length - 1] = found[own];
  const rows = first.map((event) => {
    const link = chain.links.find(({ child }) => child === event.rank), name = text(S.info_name[event.info]) ?? '(no name)';
    const row = el('div', { class: event.rank === chain.rank ? 'entry own' : 'entry' },
      el('button', { type: 'button', title: 'select and show', dir: 'auto', onclick: () => select(event.rank, true) }, name),
      el('span', { class: 'time' }, formatTime(event.d)));
    if (link) {
      const grade = /^\w+$/.test(link.evidence || '') ? link.evidence : '';
      row.append(el('div', { class: 'how' }, el('span', { class: `evidence ${grade}` }, link.evidence || 'no grade'),
        el('span', { class: 'rule' }, link.rule ? `by ${link.rule}` : '')));
    }
    for (const words of algorithmOf(infoOf(event.info).attrs)) row.append(el('span', { class: 'algorithm' }, words));
    return row;
  });
  const more = found.length - first.length;
  if (more > 0) rows.push(el('p', { class: 'note' }, `and ${count(more)} more; all ${count(found.length)} take ${formatTime(found.reduce((sum, e) => sum + e.d, 0))} summed`));
  return rows;
}

// A layer without an event: what the site knows of it, else why it was not observed.
function unseen(name, layer, site, call) {
  const made = site && site.graph ? `made when ${site.graph} was traced${site.traceUs === null ? '' : `, in ${formatTime(site.traceUs * 1e3)}`}` : 'from the record of the site';
  const known = site && { python: place(site.file, site.line), api: site.api, gen_op: site.genOp }[name];
  if (known) return el('div', { class: 'entry' }, el('span', { class: 'known', dir: 'auto', title: known }, name === 'python' ? shortPlace(known) : known), el('span', { class: 'rule' }, made));
  const cpu = name === 'stream_executor' && call && /CPU/.test(call.device || '');
  return el('p', { class: 'unobserved' }, `unobserved: ${cpu ? 'an op on the CPU does not pass through StreamExecutor' : M.unobserved[name]}`);
}

const framesOf = (stack) => (S.stacks[stack] || []).map((f) => S.frames[f]).map(([name, where, native]) => ({ name: text(name), where: text(where), native: native === 1 }));

function stackPart(title, stack, open) {
  const frames = framesOf(stack), list = el('ol', { class: 'stack', start: 0 });
  for (const { name, where } of frames) list.append(el('li', {}, el('code', { dir: 'auto' }, name), where ? el('span', { class: 'place', title: where }, shortPlace(where)) : ''));
  return el('details', open ? { open: '' } : {}, el('summary', {}, `${title} (${count(frames.length)} frames, innermost first)`), list);
}
