"""Native stacks that a program takes of itself, each beside a full unwind at the same place."""

from __future__ import annotations

import ctypes
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tftrace.capture import native
from tftrace.native.compiling import SOURCES

PROGRAM = Path(__file__).parent / "programs" / "stacks.c"


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, int], Path]:
    """What the program counted of 50,000 stacks, and the directory of native_stacks.bin."""
    compiler = native.compiler()
    if compiler is None:
        pytest.skip("needs a C compiler")
    place = tmp_path_factory.mktemp("stacks")
    sources = [PROGRAM, *sorted(SOURCES.glob("*.c"))]
    subprocess.run(
        [
            compiler,
            "-std=gnu11",
            "-O2",
            f"-I{SOURCES}",
            *sources,
            "-o",
            place / "stacks",
            "-ldl",
            "-lpthread",
        ],
        check=True,
    )
    done = subprocess.run([place / "stacks", place, "50000"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout), place


def test_one_key_is_one_stack_whichever_way_it_was_found(taken: tuple[dict[str, int], Path]) -> None:
    counts, _ = taken
    assert counts["wrong"] == 0
    assert counts["mismatch"] == 0
    assert counts["stacks"] > 100
    assert counts["fast"] + counts["full"] == 50_000


def test_frames_of_varying_size_are_unwound_in_full_and_no_others(
    taken: tuple[dict[str, int], Path],
) -> None:
    counts, _ = taken
    # one call in eight goes by the function whose frame varies
    assert 50_000 * 0.05 < counts["full"] < 50_000 * 0.25
    assert (
        counts["checked"] > 100
    )  # of the first 2,048 walks one in 64, and each stack that a walk found first


def test_each_stack_is_written_once(taken: tuple[dict[str, int], Path]) -> None:
    counts, place = taken
    words, at, keys = np.fromfile(place / "native_stacks.bin", np.uint64), 0, []
    while at < len(words):
        keys.append(int(words[at]))
        at += 2 + int(words[at + 1])
    assert at == len(words)
    assert len(keys) == len(set(keys)) == counts["stacks"]


def test_a_library_that_is_loaded_is_noticed(tmp_path: Path) -> None:
    library, why = native.library()
    if library is None:
        pytest.skip(str(why))
    ours = ctypes.CDLL(str(library))
    ours.tft_loads.restype = ctypes.c_uint64
    source = tmp_path / "one.c"
    source.write_text("int one(void) { return 1; }")
    before = ours.tft_loads()
    assert ours.tft_loads() == before
    assert native.compiled(tmp_path / "one.so", ["-shared", "-fPIC", str(source)]) is None
    ctypes.CDLL(str(tmp_path / "one.so"))
    assert ours.tft_loads() == before + 1
