"""`tftrace export` as it is typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.running import ROOT, tftrace
from tftrace.store.directory import new_directory
from tftrace.views.export import FORMATS

TRACE = ROOT / "traces" / "examples" / "eager_conv2d"


@pytest.mark.parametrize("form", FORMATS)
def test_it_writes_into_the_trace_and_says_where(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = shutil.copytree(TRACE, tmp_path / "trace")
    done = tftrace(capsys, "export", trace, "--to", form)
    assert (done.code, done.err) == (0, "")
    path = Path(done.out.strip())
    assert path.parent == trace
    assert path.name.startswith("exported.")
    new_directory(trace, "other.py", force=True)  # it is tftrace's own to remove
    assert not path.exists()


def test_a_format_that_there_is_not_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    done = tftrace(capsys, "export", TRACE, "--to", "nsys")
    assert done.code == 2
    assert "perfetto" in done.err
    assert tftrace(capsys, "export", TRACE).code == 2


def test_nothing_to_export_is_one_line_and_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    done = tftrace(capsys, "export", ROOT / "traces" / "examples" / "tuned_conv2d", "--to", "chrome")
    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1
