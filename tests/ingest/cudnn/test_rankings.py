"""Tables of cudnnFind* and cudnnGet*."""

from __future__ import annotations

from pathlib import Path

import pytest

from tftrace.errors import InputError
from tftrace.ingest.cudnn import rankings as cudnn_rankings

FIND = "cudnnFindConvolutionBackwardDataAlgorithm"
ROW = "^^^^ CUDNN_STATUS_SUCCESS for Algo 5: 0.055296 time requiring 178432 memory\n"
FAILED = "^^^^ CUDNN_STATUS_EXECUTION_FAILED for Algo 7: -1.000000 time requiring 2057744 memory\n"


def test_rows_belong_to_the_heading_above_them(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text(f"{ROW}noise\nTesting {FIND} ...\n{ROW}{FAILED}^^^^ cut")
    found = cudnn_rankings.read(path)
    assert [(r.table, r.function, r.rank) for r in found.rows] == [
        (0, None, 0), (1, FIND, 0), (1, FIND, 1),
    ]  # fmt: skip
    assert [(r.algorithm, r.time_ms, r.workspace_bytes) for r in found.rows[1:]] == [
        (5, 0.055296, 178432),
        (7, None, 2057744),
    ]
    assert (found.heads, found.other) == (1, ["noise", "^^^^ cut"])


def test_a_file_without_a_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("Testing nothing\n")
    with pytest.raises(InputError, match=r"out\.txt: holds no table"):
        cudnn_rankings.read(path)


def test_the_recorded_tables_are_read_whole(shared_data: Path) -> None:
    found = cudnn_rankings.read(shared_data / "autotune/mnistCUDNN_algo_tables.log")
    assert (len(found.rows), found.heads, found.other) == (16, 2, [])
