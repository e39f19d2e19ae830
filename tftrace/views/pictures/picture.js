// Draws the page's figure in the colours of its theme.

const byId = (id) => document.getElementById(id);
const figure = JSON.parse(byId('figure').textContent), colours = JSON.parse(byId('colours').textContent);
const INK = {
  light: { text: '#14171c', faint: '#5b6270', grid: '#dfe3e9', band: '#f3f5f8' },
  dark: { text: '#e8eaee', faint: '#a3aab6', grid: '#2f353e', band: '#1c2026' },
};
const darkMedia = matchMedia('(prefers-color-scheme: dark)');
const theme = () => document.documentElement.dataset.theme || (darkMedia.matches ? 'dark' : 'light');

// The figure carries the light colours of the layers; in the dark each becomes its counterpart.
function coloured(value) {
  if (Array.isArray(value)) return value.map(coloured);
  if (typeof value !== 'string') return value;
  const at = colours.light.indexOf(value);
  return at < 0 ? value : colours[theme()][at];
}

function draw() {
  const ink = INK[theme()], layout = structuredClone(figure.layout), axis = { gridcolor: ink.grid, zerolinecolor: ink.grid, linecolor: ink.faint };
  const data = figure.data.map((trace) => {
    const marker = { ...trace.marker };
    for (const key of ['color', 'colors']) if (marker[key]) marker[key] = coloured(marker[key]);
    const inks = trace.textfont && Array.isArray(trace.textfont.color) && theme() === 'dark';
    return { ...trace, marker, ...(inks ? { textfont: { ...trace.textfont, color: '#000000' } } : {}) };
  });
  delete layout.template;
  Object.assign(layout, { paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', autosize: true });
  layout.font = { ...layout.font, color: ink.text, family: "system-ui, 'DejaVu Sans', sans-serif" };
  layout.hoverlabel = { bgcolor: ink.band, bordercolor: ink.faint, font: { color: ink.text }, align: 'left' };
  for (const name of ['xaxis', 'yaxis']) if (layout[name]) layout[name] = { ...axis, ...layout[name] };
  for (const menu of layout.updatemenus || []) Object.assign(menu, { bgcolor: ink.band, bordercolor: ink.faint, font: { ...menu.font, color: ink.text } });
  byId('theme').textContent = theme() === 'dark' ? 'Light' : 'Dark';
  return Plotly.react(byId('picture'), data, layout, { responsive: true, displaylogo: false });
}

byId('theme').addEventListener('click', () => {
  document.documentElement.dataset.theme = theme() === 'dark' ? 'light' : 'dark';
  draw();
});
darkMedia.addEventListener('change', draw);
draw().then(() => { document.documentElement.dataset.ready = 'yes'; });
