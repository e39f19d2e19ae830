// Links between events, and the calls that they belong to: decoded at the first click, or asked of the server.

let relations = null;
function loadRelations() {
  return relations ||= M.served ? Promise.resolve(askedRelations) : (async () => {
    const linkColumns = columnReader(await inflate('links')), n = M.links;
    const parent = sums(linkColumns(n)), step = linkColumns(n), rule = linkColumns(n);
    const child = parent.map((p, i) => p + unzigzag(step[i]));
    const byChild = Uint32Array.from(parent.keys()).sort((a, b) => child[a] - child[b]);
    const children = Float64Array.from(byChild, (i) => child[i]);
    const read = columnReader(await inflate('calls')), m = M.calls, k = M.belongings;
    const kind = read(m), up = read(m), steps = read(m), start = read(m), total = read(m);
    const event = sums(read(k)), call = sums(read(k), true);
    const byCall = Uint32Array.from(event.keys()).sort((a, b) => call[a] - call[b]);
    const calls = Float64Array.from(byCall, (i) => call[i]);
    const range = (values, v) => {
      const out = [];
      for (let i = lowerBound(values, 0, values.length, v); values[i] === v; i++) out.push(i);
      return out;
    };
    const link = (i) => linkFrom([parent[i], child[i], rule[i]]);
    const at = (i) => callFrom(i, kind[i], up[i] - 1, steps[i] - 1, start[i], total[i] - 1);
    return {
      above: async (ranks) => ranks.flatMap((rank) => range(children, rank).map((i) => link(byChild[i]))),
      below: async (ranks) => ranks.flatMap((rank) => range(parent, rank).map(link)),
      callsOf: async (rank) => range(event, rank).map((i) => at(call[i])),
      eventsOf: async (number) => range(calls, number).map((i) => event[byCall[i]]),
      call: async (number) => at(number),
    };
  })();
}

const linkFrom = ([parent, child, rule]) => ({ parent, child, rule: M.rules[rule][0], evidence: M.rules[rule][1] });
const callFrom = (number, kind, parent, step, start, total) => ({
  ...kindOf(kind), number, parent, step: step >= 0 ? step : null, start, total: total >= 0 ? total : null,
});

const askedRelations = {
  above: async (ranks) => (await askRows('above', ranks)).map(linkFrom),
  below: async (ranks) => (await askRows('below', ranks)).map(linkFrom),
  callsOf: async (rank) => (await askRows('calls', [rank])).map((row) => callFrom(...row)),
  eventsOf: async (number) => (await askRows('members', [number])).flat(),
  call: async (number) => callFrom(...(await askRows('call', [number]))[0]),
};
