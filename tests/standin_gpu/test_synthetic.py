"""Whatever shows a trace of the stand-in GPU says that its times prove nothing."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.capture.running import TFTRACE, environment
from tests.standin_gpu.build import SCRIPTS

pytestmark = pytest.mark.tf

LABEL = "synthetic: a stand-in GPU ran this; its times prove nothing"


def said(*arguments: str | Path, stream: str = "stdout") -> str:
    done = subprocess.run([*TFTRACE, *map(str, arguments)], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return str(getattr(done, stream))


def test_the_manifest_says_so(standin_trace):
    assert standin_trace.synthetic
    assert standin_trace.manifest["synthetic"] is True


@pytest.mark.parametrize("command", [("summary",), ("why", "conv2d"), ("algorithms",)])
def test_what_the_terminal_shows_says_so(standin_trace, command):
    assert LABEL in said(*command, standin_trace.path)


@pytest.mark.parametrize("command", [("summary",), ("why", "conv2d"), ("algorithms",)])
def test_documents_say_so(standin_trace, command):
    assert json.loads(said(*command, standin_trace.path, "--json"))["synthetic"] is True


def test_the_list_says_so(standin_trace):
    assert "synthetic" in said("list", standin_trace.path.parent)
    (row,) = json.loads(said("list", standin_trace.path.parent, "--json"))["traces"]
    assert row["synthetic"] is True


def test_the_page_says_so(standin_trace, tmp_path):
    page = tmp_path / "timeline.html"
    said("view", standin_trace.path, "-o", page)
    assert '<strong id="synthetic">synthetic: stand-in GPU</strong>' in page.read_text()


def test_the_closing_lines_say_so(standin_gpu, tmp_path):
    done = subprocess.run(
        [*TFTRACE, "run", "-o", str(tmp_path / "trace"), str(SCRIPTS / "eager_conv.py")],
        capture_output=True,
        text=True,
        env=environment(**standin_gpu),
    )
    assert done.returncode == 0
    assert LABEL in done.stderr


def test_a_run_without_it_is_not_labelled(recorded):
    trace = recorded("no_op.py")
    assert trace.manifest["synthetic"] is False
    assert LABEL not in said("summary", trace.path)
