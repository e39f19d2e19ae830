// Start: what is on the page but not in the picture, and the order in which the parts come up.

let said = '', firstPicture = null;
const pictured = new Promise((done) => { firstPicture = done; });
function say(level, { exact, blocks, merged }) {
  const parts = [`${formatTime(view.t1 - view.t0, 3)} in view`], rows = plot.height / plot.row;
  parts.push(`${count(exact)} event${exact === 1 ? '' : 's'} drawn one by one`);
  if (blocks) {
    const shorter = formatTime(M.widths[level], 3), finest = level === M.finest;
    parts.push(`${count(merged)} shorter than ${shorter} aggregated into ${count(blocks)} blocks (height = busy share)` +
      (finest ? ', which this page holds no finer' : ', zoom in to see them'));
  }
  if (rows < lines.count) parts.push('more lanes above or below: drag, or Alt + wheel');
  const line = parts.join(' · ');
  if (line !== said && !serverGone) byId('status').textContent = said = line;
  firstPicture();
}

function describePage() {
  const began = byId('began'), share = M.exact < M.events;
  began.textContent = `${count(M.events)} events in ${formatTime(M.span)}${M.began ? `, from ${M.began}` : ''}`;
  const notes = [];
  if (M.served) began.textContent += ' · served, every event';
  if (share) notes.push(`${count(M.events - M.exact)} events shorter than ${formatTime(M.widths[M.finest], 3)} are on this page only as parts of blocks: it was limited in size.`);
  if (M.crowded.length) notes.push(`In ${count(M.crowded.length)} lane${M.crowded.length === 1 ? '' : 's'} more events run at once than there are rows: the last row holds what overlaps.`);
  if (M.linksLost) notes.push(`${count(M.linksLost)} links are left out, because one of their ends is not on this page.`);
  byId('notes').textContent = notes.join(' ');
  byId('notes').hidden = !notes.length;
}

function switchTheme() {
  document.documentElement.dataset.theme = theme() === 'dark' ? 'light' : 'dark';
  themeChanged();
}

function themeChanged() {
  for (const mark of document.querySelectorAll('#panel i.swatch')) mark.style.background = COLOURS[theme()][mark.dataset.layer];
  byId('theme').textContent = theme() === 'dark' ? 'Light' : 'Dark';
  recolour();
}

async function start() {
  if (!('DecompressionStream' in window)) {
    byId('status').textContent = 'This browser is too old to unpack the page: use one from 2023 or later.';
    return;
  }
  describePage();
  await loadStatic();
  await loadIndex();
  layOut();
  gd.append(canvas, labelBox, axisBox);
  followView();
  // The picture first: reading plotly, for legend, hover and hand, takes the browser longer than all else.
  await Promise.race([pictured, new Promise((done) => setTimeout(done, 2000))]);
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const plotly = document.createElement('script');
  plotly.textContent = byId('plotly').textContent;
  document.head.append(plotly);
  await makePlot();
  measure();
  byId('search').addEventListener('input', (e) => search(e.target.value));
  byId('search').addEventListener('keydown', (e) => {
    if (e.key === 'Enter') { e.preventDefault(); jump(e.shiftKey ? -1 : 1); }
  });
  byId('next').addEventListener('click', () => jump(1));
  byId('previous').addEventListener('click', () => jump(-1));
  byId('theme').addEventListener('click', switchTheme);
  byId('close').addEventListener('click', closePanel);
  darkMedia.addEventListener('change', themeChanged);
  byId('theme').textContent = theme() === 'dark' ? 'Light' : 'Dark';
  listen();
  followLink();
  document.documentElement.dataset.ready = 'yes';
}

start();
