"""Profiles read in columns hold what TensorFlow wrote, to the picosecond."""

import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest import wire_writer as write
from tests.ingest.xplane.reference import in_ns, read_back, reference
from tftrace.ingest import wire, wire_walk
from tftrace.ingest.thread_keys import thread_key_candidates
from tftrace.ingest.xplane.space import XSpace, read_xspace

DATA = Path(__file__).parents[1] / "data"
BEGAN = 1_795_496_570_199_321_807


def entry(key: int, name: bytes | str, *more: bytes) -> bytes:
    """An entry of a metadata map."""
    return write.number(1, key) + write.block(2, write.number(1, key) + write.block(2, name) + b"".join(more))


def space_of(tmp_path: Path, *planes: bytes) -> XSpace:
    path = tmp_path / "made.xplane.pb"
    path.write_bytes(b"".join(write.block(1, plane) for plane in planes))
    return read_xspace(path)


def task_environment(**numbers: int) -> bytes:
    plane = write.block(2, "Task Environment")
    for at, (name, value) in enumerate(numbers.items(), 1):
        plane += write.block(5, entry(at, name)) + write.block(6, stat(at, "uint", value))
    return plane


def host(*lines: bytes) -> bytes:
    return write.block(2, "/host:CPU") + b"".join(write.block(3, line) for line in lines)


# --- recordings, whole


def test_our_own_recording_reads_as_tensorflow_reads_it() -> None:
    known = in_ns(json.loads((DATA / "eager_and_function.json").read_text()))
    space = read_xspace(DATA / "eager_and_function.xplane.pb")
    assert read_back(space) == known
    assert len(space) == sum(len(line["events"]) for plane in known["planes"] for line in plane["lines"]) > 20


def test_our_own_recording_tells_date_and_options() -> None:
    space = read_xspace(DATA / "eager_and_function.xplane.pb")
    assert space.absolute
    assert space.start_walltime_ns is not None
    assert space.stop_walltime_ns is not None
    assert space.start_walltime_ns < space.start_ns.min()
    assert (space.start_ns + space.dur_ns).max() < space.stop_walltime_ns
    assert space.options.items() >= {"host_tracer_level": 2, "device_tracer_level": 1}.items()
    assert space.options["enable_hlo_proto"] is True


def test_producers_and_consumers_join_by_their_ids() -> None:
    space = read_xspace(DATA / "eager_and_function.xplane.pb")
    produced, is_producer = space.stat_ids("_p")
    consumed, is_consumer = space.stat_ids("_c")
    run = is_producer & (np.array(space.names)[space.name_code] == "FunctionRun")
    process = is_consumer & (np.array(space.names)[space.name_code] == "ExecutorState::Process")
    assert run.sum() == process.sum() == 1
    assert produced[run] == consumed[process]
    assert space.lines[space.line[run][0]].name == "python"
    assert space.lines[space.line[process][0]].name.startswith("tf_Compute")


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A profile recorded just now, with the identities of the threads that ran in it."""
    pytest.importorskip("tensorflow")
    script = Path(__file__).parents[1] / "record_profile.py"
    command = [sys.executable, str(script), str(tmp_path_factory.mktemp("profile"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    known: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return known


@pytest.mark.tf
def test_a_fresh_recording_reads_as_tensorflow_reads_it(fresh: dict[str, Any]) -> None:
    path = Path(fresh["file"])
    space = read_xspace(path)
    assert read_back(space) == in_ns(reference(path))
    assert fresh["before_ns"] <= space.start_ns.min()
    assert (space.start_ns + space.dur_ns).max() <= fresh["after_ns"]


@pytest.mark.tf
def test_a_line_is_found_by_the_thread_it_belongs_to(fresh: dict[str, Any]) -> None:
    space = read_xspace(Path(fresh["file"]))
    names = np.array(space.names)[space.name_code]

    def line_of(thread: str) -> int:
        candidates = thread_key_candidates(*fresh["threads"][thread])
        (found,) = [at for at, line in enumerate(space.lines) if line.line_id in candidates]
        return found

    assert "EagerLocalExecute: Conv2D" in names[space.line == line_of("main")]
    assert "EagerLocalExecute: Relu" in names[space.line == line_of("worker")]
    assert "EagerLocalExecute: Relu" not in names[space.line == line_of("main")]


def test_thread_keys_of_a_known_thread() -> None:
    # pthread_self() of two threads and the ids of their lines, from one TensorFlow 2.21 process
    assert -7126015055801321386 in thread_key_candidates(140155016788864, 12389)
    assert 5373688104180853956 in thread_key_candidates(140153037256384, 12399)
    # TensorFlow 2.15: the lower half of that id; 2.3: of the thread; both signed in names and unsigned in ids
    assert {-7126015055801321386 & 0xFFFFFFFF} < thread_key_candidates(140155016788864, 12389)
    assert {3287174003, -1007793293} <= thread_key_candidates(0x7F00 << 32 | 3287174003, 7)


# --- totals that TensorFlow computed itself from the same run


def kernel_reports(path: Path) -> list[tuple[str, int, int]]:
    """(kernel, total ns, occurrences) of each KernelReport in a kernel_stats.pb."""
    data = path.read_bytes()
    file = io.BytesIO(data)
    rows: list[dict[int, Any]] = []
    for outer in wire_walk.walk(file, 0, len(data)):
        if outer.tag != 1 << 3 | wire.LENGTH:
            continue
        rows.append({})
        for field in wire_walk.walk(file, outer.begin, outer.end):
            text = data[field.begin : field.end].decode() if field.tag & 7 == wire.LENGTH else field.value
            rows[-1][field.tag >> 3] = text
    return [(row[1], row.get(7, 0), row.get(13, 0)) for row in rows]


def kernels(space: XSpace) -> list[tuple[tuple[str, str, str], int]]:
    """((kernel, launch details, op), ps) of every kernel that ran on a device."""
    on_device = np.array([line.plane_name.startswith("/device:GPU") for line in space.lines])
    details, annotation = space.stats["kernel_details"], space.stats["annotation"]
    op = dict(zip(annotation.event.tolist(), annotation.values.tolist(), strict=True))
    return [
        ((space.names[space.name_code[at]], text, op.get(at, "")), int(space.dur_ps[at]))
        for at, text in zip(details.event.tolist(), details.values.tolist(), strict=True)
        if on_device[space.line[at]]
    ]


@pytest.mark.parametrize(
    "name", ["t4_tf23_alexnet", "t4_tf23_alexnet_AUTOTUNE", "turing6gb_tf24_chess_conv", "v100_tf23_alexnet"]
)
def test_kernel_totals_agree_with_tensorflows_own_to_the_nanosecond(shared_data: Path, name: str) -> None:
    known_ns, known_count = Counter[str](), Counter[str]()
    for kernel, total, count in kernel_reports(shared_data / "xplane_gpu" / f"{name}.kernel_stats.pb"):
        known_ns[kernel] += total
        known_count[kernel] += count
    found_ps, found_count = Counter[str](), Counter[str]()
    for (kernel, _, _), ps in kernels(read_xspace(shared_data / "xplane_gpu" / f"{name}.xplane.pb")):
        found_ps[kernel] += ps
        found_count[kernel] += 1
    assert {kernel: ps // 1000 for kernel, ps in found_ps.items()} == dict(known_ns)
    assert found_count == known_count


def test_the_costliest_kernels_agree_where_tensorflow_kept_only_a_thousand(shared_data: Path) -> None:
    name = "v100_tf23_resnet50v2_train"
    reports = kernel_reports(shared_data / "xplane_gpu" / f"{name}.kernel_stats.pb")
    known = sorted(total for _, total, _ in reports)
    found = Counter[tuple[str, str, str]]()
    for key, ps in kernels(read_xspace(shared_data / "xplane_gpu" / f"{name}.xplane.pb")):
        found[key] += ps // 1000
    assert len(known) == 1000 < len(found)
    assert sorted(found.values())[-1000:] == known


# --- made-up profiles: what recordings do not show

NAME = st.text(min_size=1, max_size=8)
INT64 = st.integers(-(2**63), 2**63 - 1)
STAT_VALUE = st.one_of(
    st.tuples(st.just("int"), INT64),
    st.tuples(st.just("uint"), st.integers(0, 2**64 - 1)),
    st.tuples(st.just("double"), st.floats(allow_nan=False)),
    st.tuples(st.just("str"), st.text(max_size=6)),
    st.tuples(st.just("bytes"), st.binary(max_size=6)),
    st.tuples(st.just("ref"), st.integers(1, 4)),
)
EVENTS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 10**15),
        st.integers(0, 10**12),
        st.dictionaries(st.integers(1, 4), STAT_VALUE, max_size=4),
    ),
    max_size=6,
)


def stat(key: int, kind: str, value: Any) -> bytes:
    write_value = {
        "double": lambda: write.double(2, value),
        "uint": lambda: write.number(3, value),
        "int": lambda: write.number(4, value),
        "str": lambda: write.block(5, value),
        "bytes": lambda: write.block(6, value),
        "ref": lambda: write.number(7, value),
    }
    return write.number(1, key) + write_value[kind]()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.lists(NAME, min_size=4, max_size=4, unique=True), EVENTS), min_size=1, max_size=3)
)
def test_any_mixture_of_stats_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, planes: list[tuple[list[str], Any]]
) -> None:
    made, expected = [], []
    for names, events in planes:
        line = write.number(3, 5)
        for key, offset, duration, stats in events:
            line += write.block(
                4,
                write.number(1, key)
                + write.number(2, offset)
                + write.number(3, duration)
                + b"".join(write.block(4, stat(at, kind, value)) for at, (kind, value) in stats.items()),
            )
            known = {names[at - 1]: names[v - 1] if kind == "ref" else v for at, (kind, v) in stats.items()}
            expected.append((names[key - 1], 5 + offset // 1000, duration, known))
        plane = host(line)
        for key, name in enumerate(names, 1):
            plane += write.block(4, entry(key, name)) + write.block(5, entry(key, name))
        made.append(plane)
    space = space_of(tmp_path_factory.mktemp("made"), *made)
    stats_of: list[dict[str, Any]] = [{} for _ in expected]
    for name, column in space.stats.items():
        assert np.all(np.diff(column.event) > 0)
        for event, value in zip(column.event.tolist(), column.values.tolist(), strict=True):
            stats_of[event][name] = value
    name_of = [space.names[code] for code in space.name_code]
    found = zip(name_of, space.start_ns.tolist(), space.dur_ps.tolist(), stats_of, strict=True)
    assert list(found) == expected


def test_ids_beyond_63_bits_are_kept(tmp_path: Path) -> None:
    big, negative = 2**63 + 12345, -(2**63)
    line = b"".join(
        write.block(4, write.number(1, 1) + write.block(4, made))
        for made in (stat(1, "uint", big), stat(1, "int", 7), stat(2, "int", negative), stat(2, "uint", big))
    )
    plane = host(line) + write.block(5, entry(1, "_p")) + write.block(5, entry(2, "mixed"))
    space = space_of(tmp_path, plane)
    column = space.stats["_p"]
    assert column.values.dtype == np.uint64
    assert column.values.tolist() == [big, 7]
    values, valid = space.stat_ids("_p")
    assert valid.tolist() == [True, True, False, False]
    assert values.view(np.uint64)[valid].tolist() == [big, 7]
    assert space.stats["mixed"].values.tolist() == [negative, big]  # no 64-bit array holds both


def test_a_stat_that_no_event_has_is_valid_nowhere(tmp_path: Path) -> None:
    space = space_of(tmp_path, host(write.block(4, write.number(1, 1))))
    assert "_p" not in space.stats
    values, valid = space.stat_ids("_p")
    assert (values.tolist(), valid.tolist()) == ([0], [False])


def test_a_profile_without_events_is_read(tmp_path: Path) -> None:
    space = space_of(tmp_path, host(), task_environment(profile_start_time=BEGAN))
    assert len(space) == 0
    assert space.start_walltime_ns == BEGAN
    assert dict(space.stats) == {}


def test_ids_without_metadata_get_telling_names(tmp_path: Path) -> None:
    event = write.number(1, 12) + write.block(4, stat(9, "int", 3)) + write.block(4, stat(1, "ref", 77))
    space = space_of(tmp_path, host(write.block(4, event)) + write.block(5, entry(1, "tf_op")))
    assert space.names == ["(unknown event 12)"]
    assert space.stats["(unknown stat 9)"].values.tolist() == [3]
    assert space.stats["tf_op"].values.tolist() == ["(unknown reference 77)"]


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    later = write.number(90, 1) + write.block(91, "later") + write.double(92, 1.5) + write.fixed32(93, 4)
    event = write.number(1, 1) + write.number(2, 7000) + later + write.block(4, later + stat(1, "int", 3))
    plane = host(write.block(4, event) + later) + write.block(4, entry(1, "op", later)) + later
    space = space_of(tmp_path, plane + write.block(5, entry(1, "id", later)))
    assert (space.names, space.start_ns.tolist(), space.stats["id"].values.tolist()) == (["op"], [7], [3])


def test_a_name_that_is_not_utf8_costs_only_its_own_characters(tmp_path: Path) -> None:
    plane = host(write.block(4, write.number(1, 1))) + write.block(4, entry(1, b"caf\xe9:Conv2D"))
    assert space_of(tmp_path, plane).names == ["caf\ufffd:Conv2D"]


def test_ends_are_rounded_like_starts_so_that_nesting_holds(tmp_path: Path) -> None:
    outer, inner = (1_500, 2_000), (1_900, 1_600)  # both end at 3,500 ps
    line = b"".join(
        write.block(4, write.number(1, 1) + write.number(2, start) + write.number(3, long))
        for start, long in (outer, inner)
    )
    space = space_of(tmp_path, host(line))
    assert space.start_ns.tolist() == [1, 1]
    assert space.dur_ns.tolist() == [2, 2]
    assert space.dur_ps.tolist() == [2_000, 1_600]


def test_an_aggregated_event_says_how_many_it_stands_for(tmp_path: Path) -> None:
    event = write.number(1, 1) + write.number(5, 40) + write.number(3, 8_000)
    space = space_of(tmp_path, host(write.number(3, 9) + write.block(4, event)))
    assert (space.occurrences.tolist(), space.start_ns.tolist()) == ([40], [9])
    assert space.dur_ps.tolist() == [8_000]


EVENT_1_NS = write.block(4, write.number(1, 1) + write.number(2, 1000))


@pytest.mark.parametrize(
    ("line_ns", "environment", "starts", "absolute"),
    [
        ([10, 20], {"profile_start_time": BEGAN}, [BEGAN + 11, BEGAN + 21], True),
        # TensorFlow subtracts the start only from lines that began after it
        ([10, BEGAN - 5], {"profile_start_time": BEGAN}, [BEGAN + 11, BEGAN - 4], True),
        ([10, 20], {}, [11, 21], False),  # TensorFlow 2.3
        ([BEGAN + 10, BEGAN + 20], {}, [BEGAN + 11, BEGAN + 21], True),
        ([10, 20], {"profile_start_time": 2**64 - 1}, [11, 21], False),  # garbage
    ],
)
def test_times_are_dates_where_the_profile_tells_its_start(
    tmp_path: Path, line_ns: list[int], environment: dict[str, int], starts: list[int], absolute: bool
) -> None:
    lines = [write.number(3, at) + EVENT_1_NS for at in line_ns]
    space = space_of(tmp_path, host(*lines), task_environment(**environment))
    assert (space.start_ns.tolist(), space.absolute) == (starts, absolute)


def test_stats_that_all_events_of_a_kind_share_stand_with_the_kind(shared_data: Path) -> None:
    space = read_xspace(shared_data / "xplane_tpu" / "xprof_tpu_v6e_inference.xplane.pb")
    assert {key for meta in space.metas for key in meta.stats} >= {"hlo_category", "tf_op"}


def test_a_planes_own_stats_describe_the_device(shared_data: Path) -> None:
    space = read_xspace(shared_data / "xplane_gpu" / "v100_tf23_alexnet.xplane.pb")
    (gpu,) = [plane for plane in space.planes if plane.name == "/device:GPU:0"]
    assert gpu.stats.items() >= {"compute_cap_major": 7, "core_count": 80, "memory_size": 16914055168}.items()
