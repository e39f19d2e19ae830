"""A table of what the same convolution became in several traces, and of what its training step costs in Python.

    python examples/older/side_by_side.py TRACE ..

Rows are read with `tftrace.load`: the tables `sites`, `calls`, `events`, `event_calls` and `algorithms` are DataFrames.
A step is a run of the graph that the gradient of the convolution's filter lies in; times are medians, without the
first two steps.
"""

import sys

import pandas as pd

import tftrace


def column(trace):
    """What one trace says, a value a row of the table."""
    calls = trace.calls.merge(trace.sites, on="site_id")
    events = trace.events
    kernels = events[(events["layer"] == "kernel") & events["name"].astype(str).str.endswith("Conv2D")]
    convolutions = of_events(trace, calls, kernels)
    gradients = calls[calls["op"] == "Conv2DBackpropFilter"].sort_values("start_ns")
    own = trace.algorithms[trace.algorithms["chosen"] & (trace.algorithms["op"] == "Conv2D")]

    runs = calls[calls["parent_call_id"].isna()].sort_values("start_ns")
    begins = runs.set_index("call_id").loc[gradients["parent_call_id"].iloc[2:], ["start_ns", "tid"]]
    entered = runs[runs["tid"] == begins["tid"].iloc[0]]
    step = pd.cut(entered["start_ns"], begins["start_ns"], right=False, labels=False)
    inside = entered.groupby(step)["total_ns"].agg(["sum", "count"])
    whole = begins["start_ns"].diff().dropna().to_numpy()
    nodes = calls[calls["parent_call_id"].isin(begins.index)]
    made = trace.sites[trace.sites["trace_us"].notna()]

    return {
        "TensorFlow": trace.manifest["versions"]["tensorflow"],
        "called on the line": one(convolutions["api"]),
        "mode": one(convolutions["mode"]),
        "what runs a step": one(runs[runs["call_id"].isin(begins.index)]["api"]),
        "nodes made": f"{len(made):,}",
        "Python time to make them": f"{made['trace_us'].sum() / 1000:.0f} ms",
        "a step": milliseconds(pd.Series(whole)),
        "  in the runtime": milliseconds(inside["sum"]),
        "  in Python": milliseconds(whole - inside["sum"]),
        "  calls into the runtime": f"{inside['count'].median():.0f}",
        "  kernels run": f"{len(nodes) / len(begins):.0f}",
        "the convolution's kernel": one(kernels["name"].astype(str).str.rsplit(":", n=1).str[-1]),
        "  time of one": f"{convolutions['total_ns'].median() / 1000:.0f} us",
        "library": f"{one(own['library'])} {one(own['version'])}",
        "  implementation": one(own["implementation"]),
        "  algorithm": one(own["algorithm"]),
    }


def milliseconds(times):
    return f"{times.median() / 1e6:.2f} ms"


def of_events(trace, calls, events):
    """The calls that these events belong to."""
    members = trace.tables["event_calls"].to_pandas()
    return calls[calls["call_id"].isin(members[members["event_id"].isin(events["event_id"])]["call_id"])]


def one(values):
    """The value that a column has throughout, or all of them."""
    return ", ".join(dict.fromkeys(str(v) for v in values.dropna())) or "-"


if __name__ == "__main__":
    traces = [tftrace.load(path) for path in sys.argv[1:]]
    table = pd.DataFrame({trace.name: column(trace) for trace in traces})
    print(table.to_string())
