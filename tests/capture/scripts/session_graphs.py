"""A session's graph run in each way that it can be: with options and metadata of the script's own, by callables of both
kinds. Each way has a graph of its own, in which one op is folded and one is asked for by nobody."""

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

v1 = tf.compat.v1
v1.disable_eager_execution()
FULL = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
GRAPHS = v1.RunOptions(output_partition_graphs=True)
config = config_pb2.ConfigProto()
FEED = np.array([1.0, 2.0], np.float32)


def of_options(options, calls, metadata=None):
    def run(session, x, y):
        asked = config_pb2.CallableOptions(feed=[x.name], fetch=[y.name], run_options=options)
        call = session._make_callable_from_options(asked)
        for _ in range(calls - 1):
            call(FEED)
        return call(FEED, run_metadata=metadata)[0]

    return run


def by_callable(session, x, y):
    call = session.make_callable(y)
    call()
    return call()


def failing(session, x, y):
    try:
        session.run(y, {x: [0.0] * 3}, run_metadata=metadata)
    except tf.errors.InvalidArgumentError as error:
        return type(error).__name__


metadata = v1.RunMetadata()
WAYS = {
    "options": lambda s, x, y: s.run(y, {x: FEED}, options=v1.RunOptions(timeout_in_ms=60_000)),
    "metadata": lambda s, x, y: s.run(y, {x: FEED}, run_metadata=metadata),
    "full_trace": lambda s, x, y: s.run(y, {x: FEED}, options=FULL, run_metadata=metadata),
    "asked": lambda s, x, y: s.run(y, {x: FEED}, options=GRAPHS, run_metadata=metadata),
    "asked_in_vain": lambda s, x, y: s.run(y, {x: FEED}, options=GRAPHS),
    "fed_callable": lambda s, x, y: s.make_callable(y, [x])(FEED),
    "callable": by_callable,
    "callable_metadata": lambda s, x, y: s.make_callable(y, accept_options=True)(
        options=FULL, run_metadata=metadata
    ),
    "of_options": of_options(None, 3),
    "of_options_metadata": of_options(FULL, 1, metadata),
    "of_options_asked": of_options(GRAPHS, 1, metadata),
    "of_options_later": of_options(FULL, 2, metadata),
    "failing": failing,
    "refused": lambda s, x, y: s.run(y, {x: FEED}, run_metadata=metadata),
}
for name, run in WAYS.items():
    metadata.Clear()
    config.experimental.disable_output_partition_graphs = name == "refused"
    with tf.Graph().as_default(), tf.name_scope(name), v1.Session(config=config) as session:
        x = v1.placeholder_with_default([3.0, 4.0], [None], name="x")
        y = tf.add(x * tf.sqrt(tf.constant([4.0, 4.0]), name="folded"), 1.0, name="y")
        tf.reduce_max(x, name="pruned")
        result = run(session, x, y)
    nodes = sorted(node.name for graph in metadata.partition_graphs for node in graph.node)
    kinds = sorted(field.name for field, _ in metadata.ListFields())
    print(name, result, kinds, nodes, flush=True)
