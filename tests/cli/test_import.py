"""`tftrace import` on the command line, and the other commands on what it made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import tftrace
from tests.ingest.cudnn.test_log import ENTRY, STATUS
from tests.ingest.test_nsys import KERNELS, made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "cudnn.log"
    path.write_bytes(ENTRY + STATUS)
    return path


def test_it_says_what_each_file_held(capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path) -> None:
    trace = tmp_path / "trace"
    done = tftrace(capsys, "import", log, "-o", trace)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "cudnn.log: cudnn_log, 2 entries, 1 events", f"trace: {trace}", f"next:  tftrace summary {trace}",
    ]  # fmt: skip


def test_json_is_one_document(capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path) -> None:
    done = tftrace(capsys, "import", "--json", log, "-o", tmp_path / "trace")
    document = json.loads(done.out)
    assert document["imported"][0]["entries"] == 2
    assert document["probes"][0]["name"] == "import:cudnn_log"


def test_without_a_place_it_goes_below_traces(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tftrace(capsys, "import", log).code == 0
    (found,) = (tmp_path / "traces").iterdir()
    assert found.name.startswith("cudnn.log-")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.log", b"", "is empty"),
        ("notes.txt", b"hello\n", "of no known format"),
        ("host.xplane.pb", b"\x0a\x50\x12\x09/host:CPU", "cut short or not a TensorFlow profile"),
        ("x.sqlite", b"SQLite format 3\x00" + b"\x01" * 200, "of no known format"),
        ("t.json", b'{"traceEvents": [{"ph": "X", "na', "holds no trace event"),
    ],
)
def test_a_bad_file_is_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path, name: str, content: bytes, says: str
) -> None:
    bad = tmp_path / name
    bad.write_bytes(content)
    done = tftrace(capsys, "import", log, bad, "-o", tmp_path / "trace")
    assert (done.code, done.out) == (3, "")
    (line,) = done.err.splitlines()
    assert line.startswith("tftrace: ")
    assert name in line
    assert says in line
    assert not (tmp_path / "trace").exists()


def test_the_damaged_profile_of_the_recorded_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shared_data: Path
) -> None:
    done = tftrace(
        capsys,
        "import",
        shared_data / "xplane_tpu/xprof_tpu_inference_2_CORRUPT_utf8.xplane.pb",
        "-o",
        tmp_path / "t",
    )
    assert done.code == 3
    assert len(done.err.splitlines()) == 1


def test_a_trace_that_is_there_needs_force(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path
) -> None:
    trace = tmp_path / "trace"
    assert tftrace(capsys, "import", log, "-o", trace).code == 0
    assert tftrace(capsys, "import", log, "-o", trace).code == 2
    assert tftrace(capsys, "import", log, "-o", trace, "--force").code == 0


def test_no_file_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert tftrace(capsys, "import").code == 2


@pytest.mark.parametrize(
    "name",
    ["nsys/h100_2gpu_1s.sqlite", "cudnn_log/cudnn_v7603_pytorch_conv3d.log", "onednn/onednn_old_versions_excerpts.log",
     "xplane_gpu/v100_tf23_alexnet.trace.json.gz", "cudnn9_genuine/tf_real_cudnn/frontend_info_cold.log"],
)  # fmt: skip
def test_every_command_does_something_sensible_on_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shared_data: Path, name: str
) -> None:
    trace = tmp_path / "trace"
    assert tftrace(capsys, "import", shared_data / name, "-o", trace).code == 0
    for by in ("op", "layer", "line", "kernel", "step"):
        assert tftrace(capsys, "summary", trace, "--by", by).code == 0
    assert tftrace(capsys, "algorithms", trace).code == 0
    assert "trace" in tftrace(capsys, "list", tmp_path).out
    assert tftrace(capsys, "view", trace, "-o", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").stat().st_size > 100_000
    why = tftrace(capsys, "why", "conv2d", trace)
    assert why.code == 3
    assert why.err.strip() == (
        "tftrace: trace: conv2d: the imported files tell of no op; see 'tftrace summary' and 'tftrace algorithms' of "
        "the trace"
    )


def test_the_stand_in_gpu_is_labelled(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    base = made(
        tmp_path / "x.sqlite", KERNELS,
        "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1, 2, 0, 7, 5, 1, 3)",
        "INSERT INTO StringIds VALUES (3, 'standin_cudnn_conv_fprop_engine_2')",
    )  # fmt: skip
    tftrace(capsys, "import", base, "-o", tmp_path / "trace")
    assert json.loads(tftrace(capsys, "summary", "--json", tmp_path / "trace").out)["synthetic"] is True


def test_hostile_names_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path
) -> None:
    evil = tmp_path / "a\x1b[31m\nb.log"
    shutil.copyfile(log, evil)
    done = tftrace(capsys, "import", evil, "-o", tmp_path / "trace")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert len(done.out.splitlines()) == 3
