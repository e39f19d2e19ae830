"""XLA's autotune results: every result is kept, convolutions become candidates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tftrace.errors import InputError
from tftrace.ingest import xla_autotune


def test_recorded_dump(shared_data: Path) -> None:
    found = xla_autotune.read(shared_data / "tf_standin_gpu" / "xla_autotune.textproto")
    assert (found.version, found.cut) == (3, None)
    assert [r.kind for r in found.results] == ["algorithm", "other", "other", "other"]
    tuning = found.results[0].tuning
    assert tuning is not None
    assert (tuning.version, tuning.problem["fused"]) == ("9.3.0", ["BIAS", "RELU"])
    (won,) = tuning.candidates
    assert (won.algorithm, won.workspace_bytes, won.time_us, won.chosen) == ("eng2", 8192, None, True)


def test_recorded_database_without_convolutions(shared_data: Path) -> None:
    found = xla_autotune.read(shared_data / "autotune" / "xla_autotune_results_v3_h100_EXCERPT.textproto")
    assert [r.kind for r in found.results] == ["gemm", "other"]
    assert [r.tuning for r in found.results] == [None, None]
    assert found.results[0].attrs["result"]["gemm"] == {"algorithm": -1}


def test_a_cut_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.textproto"
    path.write_text('version: 3\nresults {\n  device: "x"\n  hlo: "y"\n  result {\n    gemm { algorithm: 1')
    found = xla_autotune.read(path)
    assert (len(found.results), found.cut) == (1, "the last result is cut")


def test_a_file_without_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.textproto"
    path.write_text("version: 3\n")
    assert not xla_autotune.sniff(path, path.read_bytes())
    with pytest.raises(InputError, match="holds no autotune result"):
        xla_autotune.read(path)
