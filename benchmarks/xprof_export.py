"""XProf's own export of a TensorFlow profile's events to Parquet: what profile_reader.py stands beside.

    PYTHON benchmarks/xprof_export.py FILE

Needs nothing but XProf (PyPI `xprof`, 2.24 or newer), whose dependencies are not tftrace's: give it an environment of
its own. Prints one JSON document; ends with 3 where there is no such XProf.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

NOT_INSTALLED = 3


def main() -> None:
    try:
        import duckdb
        from xprof.convert.events_db.python import (  # type: ignore[import-not-found,unused-ignore]
            pywrap_events_db_c_api as events_db,
        )
    except ImportError:
        sys.exit(NOT_INSTALLED)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "events.parquet"
        began = time.process_time()
        events_db.xspace_to_parquet(input_path=sys.argv[1], output_path=str(out))
        cpu_s = time.process_time() - began
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ((events,),) = duckdb.sql(f"select count(*) from '{out}'").fetchall()
        written_mb = out.stat().st_size / 1e6
    document = {
        "version": metadata.version("xprof"), "events": events, "cpu_s": cpu_s, "per_s": events / cpu_s,
        "peak_mb": peak_mb, "written_mb": written_mb,
    }  # fmt: skip
    print(json.dumps(document))


if __name__ == "__main__":
    main()
