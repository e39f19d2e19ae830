"""tf.compat.v1.layers: layers as functions, called in a graph."""

from typing import Any, Dict


def _conv(rank: int) -> Any:
    return lambda m: (m.f(m.n, *(8,) * rank, 3), 4, 3)


def _pool(rank: int) -> Any:
    return lambda m: (m.f(m.n, *(8,) * rank, 3), 2, 2)


TABLE: Dict[str, Any] = {
    **{"conv%dd" % rank: _conv(rank) for rank in (1, 2, 3)},
    **{"conv%dd_transpose" % rank: _conv(rank) for rank in (2, 3)},
    **{"separable_conv%dd" % rank: _conv(rank) for rank in (1, 2)},
    **{"%s_pooling%dd" % (kind, rank): _pool(rank) for rank in (1, 2, 3) for kind in ("average", "max")},
    "batch_normalization": lambda m: m.f(m.n, 4, 4, 3),
    "dense": lambda m: (m.f(m.n, 3), 4),
    "dropout": lambda m: m.f(m.n, 3),
    "flatten": lambda m: m.f(m.n, 4, 3),
}
