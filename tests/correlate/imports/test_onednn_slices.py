"""A oneDNN log that is joined piece by piece gives the trace that it gives at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paging import put_on_disk
from tftrace.correlate.imports import onednn as onednn_import
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.correlate.tables.scratch import Scratch
from tftrace.ingest.onednn_log import OneDnnLog, parse_log, read

PROBLEM = (
    "src_f32::blocked:acdb::f0 wei_f32:a:blocked:Acdb8a::f0,,alg:convolution_direct,mb1_ic{0}oc8_ih8oh8kh3"
)
LINE = st.tuples(
    st.sampled_from(["exec", "exec", "exec", "create:cache_miss", "info"]), st.sampled_from(["jit:avx512", "ref"]),
    st.integers(1, 2), st.none() | st.integers(0, 99), st.none() | st.sampled_from(["0.5", "1.25", "3", "1e-05"]),
)  # fmt: skip


def written(lines: list[tuple[Any, ...]], dated: bool) -> bytes:
    text = ""
    for at, (kind, implementation, channels, when, ms) in enumerate(lines):
        if kind == "info":
            text += f"onednn_verbose,info,oneDNN v3.{at}.0 (commit N/A)\n"
            continue
        time = f"1795442300{when:03d}.5," if dated and when is not None else ""
        body = f"{kind},cpu,convolution,{implementation},forward_training,{PROBLEM.format(channels)}"
        text += f"onednn_verbose,{time}{body}" + (f",{ms}\n" if ms is not None else "\n")
    return text.encode()


def joined(log: OneDnnLog) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    build = TraceBuilder(scratch=Scratch(in_memory=0))
    facts = onednn_import.add(log, build, 1000)
    settle(build)
    return {name: table.to_pylist() for name, table in build.tables().items()}, vars(facts)


@settings(max_examples=80, deadline=None)
@given(st.lists(LINE, min_size=1, max_size=30), st.booleans(), st.integers(1, 9))
def test_any_log_is_the_same_in_pieces(lines: list[tuple[Any, ...]], dated: bool, rows: int) -> None:
    data = written(lines, dated)
    tables, facts = joined(parse_log(data))
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, rows)
        assert joined(parse_log(data)) == (tables, facts)
    runs = [line for line in lines if line[0] == "exec" and line[4] is not None]
    assert sum(row["calls"] for row in tables["algorithms"]) == len(runs)
    assert len(tables["events"]) == sum(line[0] != "info" for line in lines)


@pytest.mark.parametrize("dated", [True, False])
def test_a_line_without_a_time_stands_where_the_one_before_it_does_across_pieces(
    monkeypatch: pytest.MonkeyPatch, dated: bool
) -> None:
    put_on_disk(monkeypatch, 2)
    lines = [("exec", "ref", 1, when, "0.5") for when in (None, 10, None, None, None, 20, None)]
    starts = [row["start_ns"] for row in joined(parse_log(written(lines, dated)))[0]["events"]]
    first = 1795442300010500000 if dated else 1000
    assert [start - first for start in starts] == (
        [0] * 5 + [10_000_000] * 2 if dated else [500_000 * n for n in range(7)]
    )


def test_a_recorded_log_is_the_same_in_pieces(shared_data: Path) -> None:
    path = shared_data / "onednn/onednn_v3.7.3_tf2.21_v1.log"
    tables, facts = joined(read(path))
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, 97)
        assert joined(read(path)) == (tables, facts)
    assert tables["algorithms"]
