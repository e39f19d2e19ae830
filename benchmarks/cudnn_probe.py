"""What the cuDNN probe adds to a call into cuDNN.

    python benchmarks/cudnn_probe.py [--quick] [--json] [--rounds N]

TensorFlow's own trampolines lead to a stand-in cuDNN whose functions return at once: what is timed is the way there,
with the probe's wrapper in the slot and without. `set attribute` is a call of which four numbers are kept, `execute`
one with a native stack that is known already, `execute, new stack` one of 40 frames that has not been seen before and
is written down. Where a frame of varying size is on the stack (a call through ctypes), it is unwound in full: 6 us
for a known one here.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from measure import (
    ROOT,  # noqa: F401  (puts the checkout on the path)
    Estimate,
    estimate,
    machine,
    machine_line,
    print_document,
    shown,
    shuffled_rounds,
    table,
    verdict,
)

GOALS_NS = {"set attribute": 1_000.0, "execute": 60_000.0, "execute, new stack": 60_000.0}
SOURCE = r"""
#include <pthread.h>
#include <stdint.h>
#include <time.h>
int cudnnBackendCreateDescriptor(int type, void **made) { static char room[64]; *made = room + type; return 0; }
int cudnnBackendSetAttribute(void *d, int name, int type, int64_t n, const void *v) { return 0; }
int cudnnBackendExecute(void *handle, void *plan, void *pack) { return 0; }

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
int64_t set_attribute(int (*f)(void *, int, int, int64_t, const void *), void *descriptor, int64_t n) {
  int64_t dims[4] = {8, 64, 56, 56}, begin = now();
  for (int64_t i = 0; i < n; i++) f(descriptor, 902, 3, 4, dims);
  return now() - begin;
}
typedef int execution(void *, void *, void *);
static int64_t loop_execute(execution *f, void *plan, int64_t n) {
  int64_t begin = now();
  for (int64_t i = 0; i < n; i++) f(0, plan, 0);
  return now() - begin;
}
/* 40 frames of two functions in an order that differs from call to call */
static int left(execution *f, void *plan, uint64_t way, int depth);
__attribute__((noinline)) static int right(execution *f, void *plan, uint64_t way, int depth) {
  int r = depth ? way & 1 ? left(f, plan, way >> 1, depth - 1) : right(f, plan, way >> 1, depth - 1) : f(0, plan, 0);
  __asm__ volatile("");
  return r;
}
__attribute__((noinline)) static int left(execution *f, void *plan, uint64_t way, int depth) {
  int r = depth ? way & 1 ? left(f, plan, way >> 1, depth - 1) : right(f, plan, way >> 1, depth - 1) : f(0, plan, 0);
  __asm__ volatile("" ::: "memory");
  return r;
}
static int64_t loop_anew(execution *f, void *plan, int64_t n) {
  static uint64_t way;
  int64_t begin = now();
  for (int64_t i = 0; i < n; i++) right(f, plan, ++way, 40);
  return now() - begin;
}
/* on a thread of its own: a call through ctypes has a frame of varying size, which is unwound in full every time */
typedef struct {
  int64_t (*loop)(execution *, void *, int64_t);
  execution *f;
  void *plan;
  int64_t n;
} job;
static void *work(void *argument) {
  job *j = argument;
  j->loop(j->f, j->plan, 50);
  j->n = j->loop(j->f, j->plan, j->n);
  return 0;
}
static int64_t on_thread(int64_t (*loop)(execution *, void *, int64_t), execution *f, void *plan, int64_t n) {
  job j = {loop, f, plan, n};
  pthread_t thread;
  pthread_create(&thread, 0, work, &j);
  pthread_join(thread, 0);
  return j.n;
}
int64_t execute(execution *f, void *plan, int64_t n) { return on_thread(loop_execute, f, plan, n); }
int64_t execute_anew(execution *f, void *plan, int64_t n) { return on_thread(loop_anew, f, plan, n); }
"""


class Trampolines:
    """TensorFlow's, in front of the stand-in, and tftrace's library beside them."""

    def __init__(self, place: Path) -> None:
        from tftrace.capture import native

        library, reason = native.library()
        compiler = native.compiler()
        spec = find_spec("tensorflow")
        if library is None or compiler is None or spec is None or spec.origin is None:
            raise SystemExit(f"no native library, compiler or TensorFlow here: {reason}")
        source, standin = place / "standin.c", place / "libcudnn.so.9"
        source.write_text(SOURCE)
        subprocess.run(
            [
                *(compiler, "-O2", "-w", "-shared", "-fPIC", "-fno-optimize-sibling-calls"),
                *("-o", standin, source, "-Wl,-soname,libcudnn.so.9", "-lpthread"),
            ],
            check=True,
        )
        self.loops = ctypes.CDLL(str(standin), mode=ctypes.RTLD_GLOBAL)
        framework = ctypes.CDLL(str(Path(spec.origin).parent / "libtensorflow_framework.so.2"))
        self.tftrace = ctypes.CDLL(str(library))
        self.tftrace.tft_cudnn_install.argtypes = [ctypes.c_char_p, ctypes.c_uint64]
        self.descriptor, self.made = ctypes.c_void_p(), framework.cudnnBackendCreateDescriptor
        self.entry = {
            name: ctypes.cast(getattr(framework, name), ctypes.c_void_p)
            for name in ("cudnnBackendSetAttribute", "cudnnBackendExecute")
        }
        self.place = place
        self.opened = 0

    def ns(self, case: str, traced: bool, calls: int) -> float:
        """Thread CPU time a call."""
        if traced:
            self.opened += 1
            records = self.place / str(self.opened)
            records.mkdir()
            self.tftrace.tft_open(str(records).encode())
            slots = self.tftrace.tft_cudnn_install(b"libtensorflow_framework.so", 1 << 40)
            if slots <= 0:
                raise SystemExit("this TensorFlow has no trampolines that are known")
        self.made(17, ctypes.byref(self.descriptor))
        name = "cudnnBackendSetAttribute" if case == "set attribute" else "cudnnBackendExecute"
        loop = {
            "set attribute": self.loops.set_attribute,
            "execute": self.loops.execute,
            "execute, new stack": self.loops.execute_anew,
        }[case]
        loop.restype = ctypes.c_int64
        loop(self.entry[name], self.descriptor, ctypes.c_int64(50))  # resolves, maps the first records
        spent = loop(self.entry[name], self.descriptor, ctypes.c_int64(calls))
        if traced:
            self.tftrace.tft_cudnn_remove()
        return float(spent) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round: shows that it runs, decides nothing")
    parser.add_argument("--rounds", type=int, help="default: 15, or 1 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 15)
    calls = {"set attribute": 20_000, "execute": 20_000, "execute, new stack": 500}
    found: dict[str, dict[str, Estimate]] = {}
    with tempfile.TemporaryDirectory() as place:
        trampolines = Trampolines(Path(place))
        variants = [f"{case}|{how}" for case in calls for how in ("bare", "tftrace")]

        def one(variant: str) -> float:
            case, _, how = variant.partition("|")
            return trampolines.ns(case, how == "tftrace", calls[case])

        results = shuffled_rounds(rounds, variants, one, quiet=True)
    for case in calls:
        bare, traced = ([r[f"{case}|{how}"] for r in results] for how in ("bare", "tftrace"))
        found[case] = {
            "bare_ns": estimate(bare),
            "tftrace_ns": estimate(traced),
            "added_ns": estimate([t - b for t, b in zip(traced, bare, strict=True)]),
            "ratio": estimate([t / b for t, b in zip(traced, bare, strict=True)]),
        }
    judged = {case: verdict(row["added_ns"], GOALS_NS[case]) for case, row in found.items()}
    if options.json:
        head = {"benchmark": "cudnn_probe", "machine": machine(), "rounds": rounds}
        print_document({**head, "found": found, "goals_ns": GOALS_NS, "verdict": judged})
        return
    print(machine_line())
    print(f"ns a call into a cuDNN that returns at once, {rounds} rounds")
    lines = [
        [
            case,
            shown(row["bare_ns"], digits=1),
            shown(row["tftrace_ns"], digits=0),
            shown(row["added_ns"], digits=0),
            shown(row["ratio"], digits=0),
            f"<= {GOALS_NS[case]:,.0f}: {judged[case]}",
        ]
        for case, row in found.items()
    ]
    print(table(["", "bare", "tftrace", "added", "ratio", "goal"], lines))


if __name__ == "__main__":
    main()
