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
    from tftrace.ingest.wire import part
    from tftrace.ingest.xplane.layout import read_layout

    with open(path, "rb") as file:
        layout = read_layout(path, file)
        return [part(file, begin, end) for plane in layout.planes for begin, end in plane.lines]


def in_c(path: Path) -> tuple[float, int]:
    from tftrace.ingest.xplane.events import Texts
    from tftrace.ingest.xplane.native import native_decoder

    decode = native_decoder(Texts())
    assert decode is not None, "no C compiler"
    spent, events = 0.0, 0
    for at, line in enumerate(lines_of(path)):
        began = time.process_time()
        events += len(decode(line, lambda key: key, at).meta)
        spent += time.process_time() - began
    return spent, events


def in_protobuf(path: Path) -> tuple[float, int]:
    from tftrace.ingest.xplane.events import Texts
    from tftrace.ingest.xplane.plain import decode

    spent, events = 0.0, 0
    for line in lines_of(path):
        began = time.process_time()
        events += len(decode(line, Texts(), lambda key: key).meta)
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


DECODERS = {"C": in_c, "numba": in_numba, "protobuf": in_protobuf}


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
