"""Records a small TensorFlow profile, and says what the recorded process knew of itself.

    python tests/ingest/record_profile.py LOGDIR         prints {"file", "before_ns", "after_ns", "threads"}
    python tests/ingest/record_profile.py LOGDIR NAME    also keeps it as data/NAME.xplane.pb, and as
    NAME.json all
                                                         that TensorFlow's own protobuf class reads in it

The second form made the recordings in tests/ingest/data (TensorFlow 2.21, CPU).
"""

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any


def record(logdir: Path) -> dict[str, Any]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    x, kernel = tf.ones([1, 8, 8, 3]), tf.ones([3, 3, 3, 4])

    def convolve(x: Any, kernel: Any) -> Any:
        return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))

    convolve = tf.function(convolve)
    convolve(x, kernel)
    threads = {"main": (threading.get_ident(), threading.get_native_id())}

    def work() -> None:
        threads["worker"] = (threading.get_ident(), threading.get_native_id())
        tf.nn.relu(x)

    before = time.time_ns()
    tf.profiler.experimental.start(str(logdir))
    convolve(x, kernel)
    tf.nn.conv2d(x, kernel, 1, "SAME")
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    tf.profiler.experimental.stop()
    after = time.time_ns()
    (file,) = logdir.rglob("*.xplane.pb")
    return {"file": str(file), "before_ns": before, "after_ns": after, "threads": threads}


def main(logdir: str, name: str | None = None) -> None:
    known = record(Path(logdir))
    if name:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        from tests.ingest.xplane.reference import reference

        data = Path(__file__).parent / "data"
        shutil.copy(known["file"], data / f"{name}.xplane.pb")
        (data / f"{name}.json").write_text(json.dumps(reference(Path(known["file"])), indent=1) + "\n")
    print(json.dumps(known))


if __name__ == "__main__":
    main(*sys.argv[1:])
