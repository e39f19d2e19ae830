// The time axis: round times in view, their labels over the picture; their lines are painted with the events.

const axisBox = document.createElement('div');
axisBox.id = 'axis';
axisBox.setAttribute('aria-hidden', 'true'); // the footer says how much is in view
const TICK_ROOM = 110; // px, at least: the longest label is some 90 wide

// { at: round times in view, step: ns between them }, at 1, 2 or 5 of a power of ten.
function roundTimes() {
  const least = ((view.t1 - view.t0) / plot.width) * TICK_ROOM, power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find((by) => by * power >= least * 0.999999), at = [];
  for (let n = Math.ceil(view.t0 / step); n * step <= view.t1; n++) at.push(n * step);
  return { at, step };
}

// As short as tells it from its neighbours.
function tickText(t, step) {
  const size = Math.abs(t) || step;
  const [unit, name] = size >= 1e9 ? [1e9, 's'] : size >= 1e6 ? [1e6, 'ms'] : size >= 1e3 ? [1e3, 'µs'] : [1, 'ns'];
  return `${+(t / unit).toFixed(Math.max(0, Math.ceil(Math.log10(unit / step) - 1e-9)))} ${name}`;
}

function placeTicks() {
  const { at, step } = roundTimes();
  Object.assign(axisBox.style, { left: plot.left + 'px', width: plot.width + 'px', height: plot.top + 'px' });
  while (axisBox.children.length > at.length) axisBox.lastChild.remove();
  at.forEach((t, i) => {
    const tick = axisBox.children[i] || axisBox.appendChild(document.createElement('span')), words = tickText(t, step);
    if (tick.textContent !== words) tick.textContent = words;
    tick.style.transform = `translateX(${Math.round(xOf(t))}px) translateX(-50%)`;
  });
}
