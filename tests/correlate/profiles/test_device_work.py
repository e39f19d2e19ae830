"""Work of devices in a profile: what counts as work, which launch it belongs to, what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.correlate.profiles.made_spaces import Plane, space
from tftrace.correlate.ledger.profile_algorithms import ProfileAlgorithms
from tftrace.correlate.profiles.device_planes import SpaceFacts, add_space
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.ingest.xplane.device import details
from tftrace.ingest.xplane.space import read_xspace

KERNEL = "regs:32 static_shared:0 dynamic_shared:8 grid:2,1,1 block:1024,1,1 occ_pct:66.6667"
GARBAGE = "regs:140574313140336 shm:778947888 grid:926998880,780050720,1 block:591188976,1,1"


def launch(name: str, at: int, number: int, **stats: Any) -> tuple[str, int, int, dict[str, Any]]:
    return name, at, 10, {"correlation_id": number, "kernel_details": GARBAGE, **stats}


def kernel(name: str, at: int, number: int | None, **stats: Any) -> tuple[str, int, int, dict[str, Any]]:
    given_id = {} if number is None else {"correlation_id": number}
    return name, at, 20, {**given_id, "kernel_details": KERNEL, **stats}


class Tables:
    def __init__(self, directory: Path, *spaces: list[Plane]) -> None:
        build = TraceBuilder()
        self.facts: list[SpaceFacts] = []
        for number, planes in enumerate(spaces):
            read = space(directory, *planes)
            self.facts.append(
                add_space(read, build, ProfileAlgorithms(), host="made", pid=number + 1, window=number)
            )
        self.tables = build.tables()
        self.events = self.tables["events"].to_pandas().set_index("event_id")
        links = self.tables["links"].to_pandas()
        self.launches = links[links.rule == "correlation id"]

    def device(self) -> pd.DataFrame:
        return self.events[self.events.layer == "device"]

    def launch_of(self) -> dict[tuple[str, str], int | None]:
        """Start of its launch by (device, kernel)."""
        above = dict(zip(self.launches.child_id, self.launches.parent_id, strict=True))
        return {
            (str(row.device), str(row["name"])): int(self.events.start_ns[above[at]]) if at in above else None
            for at, row in self.device().iterrows()
        }


def test_an_id_that_repeats_on_another_device_leads_to_the_launch_of_its_own_context(tmp_path: Path) -> None:
    host = Plane(
        "/host:CPU",
        {"python": [launch("conv", 100, 7, context_id="$$1"), launch("conv", 200, 7, context_id="$$2")]},
    )
    gpus = [
        Plane(f"/device:GPU:{n}", {"Stream #13(Compute)": [kernel("conv", 300, 7, context_id=f"$${n + 1}")]})
        for n in range(2)
    ]
    found = Tables(tmp_path, [host, *gpus])
    assert found.launch_of() == {("/device:GPU:0", "conv"): 100, ("/device:GPU:1", "conv"): 200}
    assert found.facts[0].counts.ambiguous == 0


def test_an_id_that_repeats_without_contexts_is_linked_to_nothing_and_counted(tmp_path: Path) -> None:
    host = Plane("/host:CPU", {"python": [launch("conv", 100, 7), launch("relu", 200, 8)]})
    gpus = [
        Plane("/device:GPU:0", {"Stream #1(Compute)": [kernel("conv", 300, 7), kernel("relu", 400, 8)]}),
        Plane("/device:GPU:1", {"Stream #1(Compute)": [kernel("conv", 300, 7)]}),
    ]
    found = Tables(tmp_path, [host, *gpus])
    assert found.launch_of() == {
        ("/device:GPU:0", "conv"): None,
        ("/device:GPU:1", "conv"): None,
        ("/device:GPU:0", "relu"): 200,
    }
    assert found.facts[0].counts.ambiguous == 2


def test_the_same_ids_in_two_processes_do_not_meet(tmp_path: Path) -> None:
    def process(at: int) -> list[Plane]:
        return [
            Plane("/host:CPU", {"python": [launch("conv", at, 7, context_id="$$1")]}),
            Plane("/device:GPU:0", {"Stream #1(Compute)": [kernel("conv", at + 50, 7, context_id="$$1")]}),
        ]

    found = Tables(tmp_path, process(100), process(1000))
    pairs = zip(found.launches.parent_id, found.launches.child_id, strict=True)
    assert [(int(found.events.start_ns[p]), int(found.events.start_ns[c])) for p, c in pairs] == [
        (100, 150),
        (1000, 1050),
    ]
    assert (
        found.events.pid[found.launches.parent_id].values == found.events.pid[found.launches.child_id].values
    ).all()


def test_work_without_an_id_or_without_a_launch_stays_unlinked_and_is_counted(tmp_path: Path) -> None:
    host = Plane("/host:CPU", {"python": [launch("conv", 100, 7)]})
    gpu = Plane(
        "/device:GPU:0",
        {"Stream #1(Compute)": [kernel("conv", 300, 7), kernel("lost", 400, 9), kernel("bare", 500, None)]},
    )
    found = Tables(tmp_path, [host, gpu])
    assert found.launch_of() == {
        ("/device:GPU:0", "conv"): 100,
        ("/device:GPU:0", "lost"): None,
        ("/device:GPU:0", "bare"): None,
    }
    counts = found.facts[0].counts
    assert (counts.work, counts.without_launch, counts.without_id) == (3, 1, 1)


def test_one_launch_may_start_many_kernels(tmp_path: Path) -> None:
    host = Plane("/host:CPU", {"python": [("cuGraphLaunch", 100, 10, {"correlation_id": 7})]})
    gpu = Plane("/device:GPU:0", {"Stream #1(Compute)": [kernel("a", 300, 7), kernel("b", 400, 7)]})
    assert Tables(tmp_path, [host, gpu]).launch_of() == {
        ("/device:GPU:0", "a"): 100,
        ("/device:GPU:0", "b"): 100,
    }


def test_lines_that_repeat_the_time_of_others_are_no_work(tmp_path: Path) -> None:
    work = [kernel("conv", 300, 7, annotation="c:Conv2D")]
    again = [("c:Conv2D", 300, 20, {})]
    lines = {"Stream #1(Compute)": work, "TensorFlow Ops": again, "TensorFlow Name Scope": again, "Steps": again,
             "XLA Modules": again, "XLA Ops": again, "Source code": again}  # fmt: skip
    found = Tables(tmp_path, [Plane("/device:GPU:0", lines)])
    assert found.device()["name"].tolist() == ["conv"]
    assert found.facts[0].counts.derived == 6
    assert len(found.events) == 1


def test_units_of_a_tpu_are_work_and_its_programs_stand_above(tmp_path: Path) -> None:
    lines = {
        "XLA Modules": [("jit_f(1)", 100, 90, {})],
        "XLA Ops": [("%add = f32[] add()", 110, 20, {})],
        "Steps": [("0", 100, 90, {})],
    }
    found = Tables(tmp_path, [Plane("/device:TPU:0", lines)])
    rows = [(str(r.layer), str(r["name"]), str(r.device)) for _, r in found.events.iterrows()]
    assert rows == [
        ("runtime", "jit_f(1)", "/device:TPU:0"),
        ("device", "%add = f32[] add()", "/device:TPU:0"),
    ]


def test_times_of_a_device_count_from_its_own_lines_start(tmp_path: Path) -> None:
    host = Plane("/host:CPU", {"python": [launch("conv", 100, 7)]}, timestamp_ns=1000)
    gpu = Plane("/device:GPU:0", {"Stream #1(Compute)": [kernel("conv", 300, 7)]}, timestamp_ns=5000)
    found = Tables(tmp_path, [host, gpu])
    assert found.events.start_ns.tolist() == [1100, 5300]


def test_attributes_come_from_the_devices_side(tmp_path: Path) -> None:
    host = Plane(
        "/host:CPU", {"python": [launch("conv", 100, 7), ("MemcpyH2D", 200, 10, {"correlation_id": 8})]}
    )
    gpu = Plane(
        "/device:GPU:0",
        {
            "Stream #13(Compute)": [kernel("conv", 300, 7, tf_op="c:Conv2D", scope_range_id=4)],
            "Stream #14(MemcpyH2D)": [
                ("MemcpyH2D", 400, 5, {"correlation_id": 8, "memcpy_details": "size:4 dest:0 async:1"})
            ],
        },
    )
    found = Tables(tmp_path, [host, gpu])
    kernel_row, copy_row = (row for _, row in found.device().iterrows())
    assert orjson.loads(kernel_row["attrs"]) == {
        "tf_op": "c:Conv2D", "scope_range_id": 4, "registers": 32, "static_shared_bytes": 0, "dynamic_shared_bytes": 8,
        "grid": [2, 1, 1], "block": [1024, 1, 1], "occupancy_pct": 66.6667,
    }  # fmt: skip
    assert orjson.loads(copy_row["attrs"]) == {"bytes": 4, "to_device": 0, "asynchronous": 1}
    assert (int(kernel_row.stream), int(copy_row.stream), int(kernel_row.correlation_id)) == (13, 14, 7)
    launches = found.events[found.events.layer == "library"]
    assert launches["name"].tolist() == ["cuLaunchKernel", "MemcpyH2D"]
    assert orjson.loads(launches["attrs"].iloc[0]) == {"library": "CUDA", "kernel": "conv"}


def test_kernels_of_an_op_make_one_call_with_their_device_time(tmp_path: Path) -> None:
    op = {"tf_op": "f/c:Conv2D"}
    process: tuple[str, int, int, dict[str, Any]] = ("ExecutorState::Process", 50, 500, {})
    host = Plane(
        "/host:CPU",
        {"tf_Compute/1": [process, launch("pad", 100, 1), launch("conv", 200, 2), launch("relu", 300, 3)]},
    )
    gpu = Plane(
        "/device:GPU:0",
        {
            "Stream #1(Compute)": [
                kernel("pad", 400, 1, **op),
                kernel("conv", 410, 2, **op),
                kernel("relu", 500, 3, tf_op="r:Relu"),
            ]
        },
    )
    found = Tables(tmp_path, [host, gpu])
    calls = found.tables["calls"].to_pandas().merge(found.tables["sites"].to_pandas(), on="site_id")
    shown = ["op", "node", "mode", "start_ns", "total_ns", "library_total_ns", "device_total_ns", "device"]
    assert calls[shown].values.tolist() == [
        ["Conv2D", "f/c", "native", 100, 110, 20, 30, "/device:GPU:0"],
        ["Relu", "r", "native", 300, 10, 10, 20, "/device:GPU:0"],
    ]  # fmt: skip


WORD = st.text(
    st.characters(codec="ascii", categories=("L", "N", "P", "S"), exclude_characters=":"),
    min_size=1,
    max_size=6,
)


@given(st.dictionaries(WORD, st.integers(-(2**63), 2**63 - 1), max_size=6))
def test_details_are_read_back_as_they_were_written(values: dict[str, int]) -> None:
    text = " ".join(f"x{key}:{value}" for key, value in values.items())
    assert details(text) == {f"x{key}": value for key, value in values.items()}


def test_a_number_beyond_64_bits_stays_text() -> None:
    assert details(f"size:{2**63} occ_pct:nan grid:1,,x") == {
        "bytes": str(2**63),
        "occupancy_pct": "nan",
        "grid": [1, "", "x"],
    }


@given(st.text(max_size=60))
def test_any_text_gives_details_that_json_can_hold(text: str) -> None:
    orjson.dumps(details(text), default=str)


@pytest.mark.parametrize("name", ["rocm_mi300_jax08_gemm", "rocm_mi300_jax_conv_legacy"])
def test_profiles_of_jax_on_amd_show_each_kernel_with_its_launch(shared_data: Path, name: str) -> None:
    build = TraceBuilder()
    facts = add_space(
        read_xspace(shared_data / "xplane_rocm" / f"{name}.xplane.pb"),
        build,
        ProfileAlgorithms(),
        host="amd",
        pid=1,
    )
    tables = build.tables()
    rules = tables["links"].column("rule").to_pylist()
    assert facts.counts.work == rules.count("correlation id") > 50
    assert (facts.counts.without_id, facts.counts.without_launch, facts.counts.ambiguous) == (0, 0, 0)
    assert {"HIP"} == {
        orjson.loads(attrs)["library"]
        for layer, attrs in zip(
            *(tables["events"].column(c).to_pylist() for c in ("layer", "attrs")), strict=True
        )
        if layer == "library"
    }
    modes = set(tables["sites"].column("mode").to_pylist())
    assert modes == {"xla"}
