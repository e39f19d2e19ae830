"""What decodes the events of a TensorFlow profile: our C, numba over the same bytes, protobuf's runtime.

    python benchmarks/decoders.py [EVENTS]

Each in a process of its own, on one made profile (made_profile.py). `first` is a process that has nothing compiled yet,
`again` one that finds everything in its cache; `decode` is the time in the decoder alone, over all lines. numba is no
dependency of tftrace: without it, its rows say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from made_profile import write_profile

CHILD = "TFTRACE_BENCHMARK_DECODER"


def lines_of(path: Path) -> list[bytes]:
    from tftrace.ingest.wire_walk import part
    from tftrace.ingest.xplane.layout import read_layout

    with open(path, "rb") as file:
        layout = read_layout(path, file)
        return [part(file, begin, end) for plane in layout.planes for begin, end in plane.lines]


def in_tftrace(path: Path, native: bool) -> tuple[float, int]:
    """Ids stand for themselves, and all lines are of one plane: nothing but the decoding is measured."""
    import numpy as np

    from tftrace.ingest.xplane.columns import Columns, Grown
    from tftrace.ingest.xplane.events import PlaneIds, Texts
    from tftrace.ingest.xplane.native import PADDING, native_decoder
    from tftrace.ingest.xplane.plain import decode

    texts, columns, spent, events = Texts(), Columns(), 0.0, 0
    ids = PlaneIds(*[lambda key: key] * 3)
    in_c = native_decoder(texts) if native else None
    assert in_c is not None or not native, "no C compiler"
    data = Grown(np.uint8, PADDING)
    for line in lines_of(path):
        began = time.process_time()
        columns.clear()
        if in_c is None:
            decode(line, texts, ids, columns)
        else:
            if data.rows < len(line) + PADDING:
                data.grow(len(line) + PADDING)
            data.filled(0, len(line))[:] = np.frombuffer(line, np.uint8)
            in_c(data, len(line), ids, columns)
        events += columns.events
        spent += time.process_time() - began
    return spent, events


def in_numba(path: Path) -> tuple[float, int]:
    import numpy as np
    from numba_decoder import decode

    spent, events = 0.0, 0
    for line in lines_of(path):
        began = time.process_time()
        data = np.frombuffer(line + bytes(16), np.uint8)
        events += len(decode(data, len(line))[0])
        spent += time.process_time() - began
    return spent, events


DECODERS = {
    "C": lambda path: in_tftrace(path, True),
    "numba": in_numba,
    "protobuf": lambda path: in_tftrace(path, False),
}


def measured(name: str, path: Path, cache: str) -> dict[str, Any] | None:
    """A process of its own; None where it fails for want of numba."""
    environment = os.environ | {
        "XDG_CACHE_HOME": cache, "NUMBA_CACHE_DIR": cache, CHILD: name,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode and "No module named 'numba'" in done.stderr:
        return None
    done.check_returncode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    if (name := os.environ.get(CHILD)) is not None:
        began = time.perf_counter()
        decode, events = DECODERS[name](Path(sys.argv[1]))
        print(json.dumps({"whole": time.perf_counter() - began, "decode": decode, "events": events}))
        return
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.xplane.pb"
        count = write_profile(path, events)
        print(f"{count:,} events, {path.stat().st_size / 1e6:.0f} MB")
        for name in DECODERS:
            cache = os.path.join(folder, name)
            for when in ("first", "again"):
                found = measured(name, path, cache)
                if found is None:
                    print(f"{name:9} not installed")
                    break
                assert found["events"] == count
                rate = count / found["decode"] / 1e6
                whole, decode = found["whole"], found["decode"]
                print(f"{name:9} {when:6} whole {whole:6.2f} s   decode {decode:6.2f} s   {rate:6.2f} M/s")


if __name__ == "__main__":
    main()
