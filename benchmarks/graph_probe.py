"""What it costs to see the graphs that TensorFlow ran: the probe `grappler`, beside a recording without it.

    python benchmarks/graph_probe.py [--quick] [--json] [--rounds N]

A graph is asked for once. So the first run of a function, of a session's fetches and of a callable is measured by
itself, and then what a later run takes. Each variant is a process; they take turns in random order. Times are CPU time
of the whole process, which the load of the machine moves less than time on the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from measure import (
    estimate,
    machine,
    machine_line,
    print_document,
    run_quietly,
    shown,
    shuffled_rounds,
    table,
)

LAUNCH = (  # without the building of tables
    "import sys; from pathlib import Path; from tftrace.capture.launch import RunRequest, run;"
    "request = RunRequest(argv=sys.argv[3:], output=Path(sys.argv[1]), disabled=tuple(sys.argv[2].split(',')));"
    "sys.exit(run(request).exit_status)"
)
# the profiler's window ends when it will: its work is not what is asked here
WITHOUT = {"with it": "tf_profiler", "without it": "tf_profiler,grappler"}
LAYERS, LATER = 100, 200
WHAT = {
    "function": "first run of a function", "session": "first run of a session's fetches",
    "callable": "first call of a callable from options",
    "function later": "later run of the function", "session later": "later run of the session",
}  # fmt: skip


def work(result: Path, layers: int, later: int) -> None:
    """The script that is recorded: a chain of layers, in each way; writes CPU ms by what was done."""
    import numpy as np
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    v1 = tf.compat.v1
    spent: dict[str, Any] = {}

    def cpu_ms() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return (used.ru_utime + used.ru_stime) * 1e3

    def timed(what: str, run: Any, times: int = 1) -> None:
        began = cpu_ms()
        for _ in range(times):
            run()
        spent[what] = (cpu_ms() - began) / times

    def chain(x: Any) -> Any:
        for _ in range(layers):
            x = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, weights), bias)) * tf.sqrt(tf.constant(2.0))
        return x

    def made_and_called(session: Any, asked: Any) -> None:
        session._make_callable_from_options(asked)(value)

    value = np.ones([4, 8], np.float32)
    weights, bias = tf.ones([8, 8]), tf.ones([8])
    given = tf.constant(value)
    tf.function(lambda x: x * 2.0 + 1.0)(given)  # TensorFlow makes itself ready
    concrete = tf.function(chain).get_concrete_function(given)  # traced before anything is timed
    timed("function", lambda: concrete(given))
    timed("function later", lambda: concrete(given), later)
    for way in ("session", "callable"):  # each with a graph of its own
        with tf.Graph().as_default() as graph, v1.Session() as session:
            weights, bias = tf.ones([8, 8]), tf.ones([8])
            x = v1.placeholder(tf.float32, [4, 8])
            y = chain(x)
            session.run(bias)  # the session knows its graph
            if way == "session":
                timed("session", partial(session.run, y, {x: value}))
                timed("session later", partial(session.run, y, {x: value}), later)
            else:
                asked = config_pb2.CallableOptions(feed=[x.name], fetch=[y.name])
                timed("callable", partial(made_and_called, session, asked))
    spent["nodes"] = len(graph.get_operations())
    result.write_text(json.dumps(spent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round: shows that it runs, decides nothing")
    parser.add_argument("--rounds", type=int, help="default: 12, or 1 with --quick")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    layers, later = (10, 5) if options.quick else (LAYERS, LATER)
    if options.work:
        return work(options.work, layers, later)
    rounds = options.rounds or (1 if options.quick else 12)

    def one(variant: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as place:
            result = Path(place) / "result.json"
            script = [__file__, "--work", str(result), *(["--quick"] if options.quick else [])]
            run_quietly([sys.executable, "-c", LAUNCH, f"{place}/trace", WITHOUT[variant], *script])
            written = list(Path(place).glob("trace/raw/*/optimized.jsonl"))
            seen = sum(len(path.read_text().splitlines()) for path in written)
            spent: dict[str, Any] = json.loads(result.read_text())
            return {**spent, "seen": seen}

    results = shuffled_rounds(rounds, list(WITHOUT), one, quiet=options.json)
    ms: dict[str, Any] = {}
    for what in WHAT:
        without, probed = ([r[variant][what] for r in results] for variant in ("without it", "with it"))
        added = [b - a for a, b in zip(without, probed, strict=True)]
        ms[what] = {"without it": estimate(without), "with it": estimate(probed), "added": estimate(added)}
    nodes = results[0]["with it"]["nodes"]
    seen = {variant: sorted({r[variant]["seen"] for r in results}) for variant in WITHOUT}
    if options.json:
        head = {
            "benchmark": "graph_probe",
            "machine": machine(),
            "rounds": rounds,
            "nodes": nodes,
            "seen": seen,
        }
        return print_document({**head, "cpu_ms": ms})
    rows = [[WHAT[w], *(shown(row[c]) for c in ("without it", "with it", "added"))] for w, row in ms.items()]
    print(machine_line())
    print(f"CPU ms of a graph of {nodes} nodes, {rounds} rounds")
    print(table(["", "without it", "with it", "added"], rows))


if __name__ == "__main__":
    main()
