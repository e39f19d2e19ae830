"""Imported files: nothing lost, joined where they can be, and honest about where they cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.analysis.contracts import check
from tests.ingest.cudnn.test_log import BARE, ENTRY, STATUS, WARNING
from tests.ingest.test_nsys import KERNELS, made
from tftrace.analysis import algorithms, summary
from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.errors import InputError, UsageError
from tftrace.model.trace import Trace

LOGS = (
    "cudnn_log/*", "cudnn9_genuine/log_9.28.0/*", "cudnn9_genuine/log_9.3.0/*",
    "cudnn9_genuine/tf_real_cudnn/frontend_info_*.log", "cudnn9_genuine/tf_real_cudnn/cudnn_level3_warm.log.gz",
    "tf_standin_gpu/frontend_info_grad.log", "onednn/*", "autotune/mnistCUDNN_algo_tables.log",
)  # fmt: skip


def imported(place: Path, *paths: Path) -> Trace:
    return load(import_files(paths, place / "trace"))


def log(place: Path, text: bytes, name: str = "cudnn.log") -> Path:
    path = place / name
    path.write_bytes(text)
    return path


def attrs(trace: Trace) -> list[dict[str, Any]]:
    return [json.loads(a) for a in trace.events["attrs"]]


@pytest.mark.parametrize("pattern", LOGS)
def test_every_entry_of_the_recorded_logs_is_accounted_for(
    shared_data: Path, tmp_path: Path, pattern: str
) -> None:
    paths = sorted(shared_data.glob(pattern))
    assert paths
    trace = imported(tmp_path, *paths)
    rows = trace.manifest["imported"]
    assert [row["file"] for row in rows] == [str(p) for p in paths]
    assert sum(row["events"] for row in rows) == len(trace.events)
    # an event stands for one entry, or says for how many; the header lines of oneDNN are facts of the manifest
    accounted = sum(a.get("records", 1) for a in attrs(trace)) + sum(
        len(r.get("information", [])) for r in rows
    )
    assert accounted == sum(row["entries"] for row in rows)


def test_a_call_is_one_event_with_its_end_status_and_messages(tmp_path: Path) -> None:
    trace = imported(tmp_path, log(tmp_path, ENTRY + STATUS + WARNING))
    (event,) = trace.events.to_dict("records")
    assert (event["layer"], event["name"], event["dur_ns"]) == (
        "library",
        "cudnnBackendFinalize",
        100_000_000,
    )
    assert (event["pid"], event["tid"], event["device"]) == (28210, 28229, "/device:GPU:0")
    (told,) = attrs(trace)
    assert (told["status"], told["records"], len(told["messages"])) == ("CUDNN_STATUS_NOT_SUPPORTED", 3, 2)
    assert told["arguments"]["descriptor"]["knobDesc"]["FUTURE_FIELD"] == 17
    assert trace.manifest["probes"] == [
        {
            "name": "import:cudnn_log",
            "status": "ok",
            "reason": None,
            "events": 1,
            "lost": 0,
            "overhead_us": None,
        }
    ]


def test_a_call_whose_end_is_not_logged_has_no_duration(tmp_path: Path) -> None:
    trace = imported(tmp_path, log(tmp_path, ENTRY))
    assert trace.events["dur_ns"].isna().tolist() == [True]


def test_threads_that_call_the_same_function_keep_their_own_status(tmp_path: Path) -> None:
    other = b"Thread=5"
    text = ENTRY + ENTRY.replace(b"Thread=28229", other) + STATUS.replace(b"Thread=28229", other) + STATUS
    trace = imported(tmp_path, log(tmp_path, text))
    assert [a["records"] for a in attrs(trace)] == [2, 2]


def test_two_processes_in_one_log_are_two_processes(tmp_path: Path) -> None:
    trace = imported(tmp_path, log(tmp_path, ENTRY + BARE))
    assert sorted(p["pid"] for p in trace.manifest["processes"]) == [7, 28210]


def test_a_cut_log_says_so(tmp_path: Path) -> None:
    trace = imported(tmp_path, log(tmp_path, ENTRY + ENTRY[:200]))
    (probe,) = trace.manifest["probes"]
    assert (probe["status"], probe["reason"]) == ("partly", "cudnn.log: 1 records are cut")
    assert len(trace.events) == 2
    assert attrs(trace)[1]["incomplete"] is True


def test_a_step_of_the_clock_is_told(tmp_path: Path) -> None:
    trace = imported(tmp_path, log(tmp_path, STATUS + ENTRY))
    assert trace.manifest["clocks"][0]["wall_clock_steps"] == 1


def test_a_log_without_times_begins_where_the_dated_one_does(shared_data: Path, tmp_path: Path) -> None:
    frontend = shared_data / "cudnn9_genuine/tf_real_cudnn/frontend_info_cold.log"
    trace = imported(tmp_path, frontend, log(tmp_path, ENTRY))
    events = trace.events
    assert (
        events[events["probe"] == "import:cudnn_frontend_log"]["start_ns"].min()
        == events["start_ns"].min()
        > 1e18
    )
    assert [c["placed"] == "as written" for c in trace.manifest["clocks"]] == [False, True]


def test_cudnns_log_and_its_front_ends_make_one_ledger(shared_data: Path, tmp_path: Path) -> None:
    place = shared_data / "cudnn9_genuine/tf_real_cudnn"
    trace = imported(tmp_path, place / "cudnn_level3_cold.log.gz", place / "frontend_info_cold.log")
    document = algorithms.document(trace)
    check(document, "algorithms")
    (problem,) = document["problems"]
    assert (problem["problem"]["op"], problem["device"], problem["version"]) == (
        "Conv2D",
        "NVIDIA A100-SXM4-40GB",
        "9.28.0",
    )
    found = {c["algorithm"]: c for c in problem["candidates"]}
    assert found["eng48_k2=15_k6=2_k13=1_k14=0_k22=0"]["workspace_bytes"] == 21008
    assert sum(c["chosen"] for c in problem["candidates"]) == 1
    assert sum(c["calls"] or 0 for c in problem["candidates"]) == 32 == problem_calls(trace)
    assert {c["source"] for c in problem["candidates"]} >= {"cudnn_log + cudnn_frontend_log"}
    (winner,) = (c for c in problem["candidates"] if c["chosen"])
    assert (
        winner["evidence"] == "inferred"
    )  # the log does not tell the autotuner's trials from the call that follows


def problem_calls(trace: Trace) -> int:
    return int((trace.events["name"] == "cudnnBackendExecute").sum())


@pytest.mark.parametrize("run", ["warm", "cold_sm90"])
def test_the_winner_inferred_from_cudnns_log_is_the_one_tensorflow_chose(
    shared_data: Path, tmp_path: Path, run: str
) -> None:
    place = shared_data / "cudnn9_genuine/tf_real_cudnn"
    told = (place / f"vlog_{run}.log").read_text(errors="replace").partition("fastest algorithm: ")[2]
    (problem,) = algorithms.document(imported(tmp_path, place / f"cudnn_level3_{run}.log.gz"))["problems"]
    assert told.partition(" with algo ")[2].partition(",")[0] == f"ConvFwd_{problem['chosen']}"


def test_an_nsys_export_links_work_to_its_launch_by_process_and_id(shared_data: Path, tmp_path: Path) -> None:
    trace = imported(tmp_path, shared_data / "nsys/h100_2gpu_1s.sqlite")
    events, links = trace.events.set_index("event_id"), trace.links
    launched = links[links["rule"] == "correlation id"]
    child, parent = events.loc[launched["child_id"]], events.loc[launched["parent_id"]]
    assert set(child["layer"]) == {"device"}
    assert set(parent["layer"]) == {"library"}
    assert (child["pid"].to_numpy() == parent["pid"].to_numpy()).all()
    assert (child["correlation_id"].to_numpy() == parent["correlation_id"].to_numpy()).all()
    assert set(launched["evidence"]) == {"measured"}
    work = int((events["layer"] == "device").sum())
    (row,) = trace.manifest["imported"]
    assert work == len(launched) + row["work_without_id"] + row["work_without_launch"] + row["ids_ambiguous"]
    # the export is one second cut out of a run: the other half was launched before it
    assert (work, len(launched), row["ids_ambiguous"]) == (4368, 2092, 0)
    calls = events[(events["layer"] == "library")]
    unlinked = events[(events["layer"] == "device") & ~events.index.isin(launched["child_id"])]
    assert not set(zip(unlinked["pid"], unlinked["correlation_id"], strict=True)) & set(
        zip(calls["pid"], calls["correlation_id"], strict=True)
    )
    assert {d["name"] for d in trace.manifest["devices"]} == {"/device:GPU:0", "/device:GPU:1"}


def test_an_id_that_repeats_across_devices_or_calls_is_not_linked(tmp_path: Path) -> None:
    pid, thread = 111 << 24, 111 << 24 | 5
    base = made(
        tmp_path / "x.sqlite",
        KERNELS,
        "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, end, globalTid, correlationId, nameId)",
        *(
            f"INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES ({at}, {at + 5}, {thread}, {ident}, 2)"
            for at, ident in ((10, 7), (20, 8), (30, 9), (40, 9))
        ),
        *(
            f"INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (100, 200, {device}, 7, {ident}, {pid}, 1)"
            for device, ident in ((0, 7), (1, 7), (0, 8), (0, 9), (0, 10), (0, "NULL"))
        ),
    )
    trace = imported(tmp_path, base)
    linked = trace.events.set_index("event_id").loc[trace.links["child_id"]]
    assert linked["correlation_id"].tolist() == [8]
    (row,) = trace.manifest["imported"]
    assert (row["ids_ambiguous"], row["work_without_launch"], row["work_without_id"]) == (3, 1, 1)


def test_tables_of_find_and_get_become_candidates(shared_data: Path, tmp_path: Path) -> None:
    trace = imported(tmp_path, shared_data / "autotune/mnistCUDNN_algo_tables.log")
    problems = {p["problem"]["table"].split(",")[0]: p for p in algorithms.document(trace)["problems"]}
    found = problems["cudnnFindConvolutionForwardAlgorithm"]
    assert (found["chosen"], len(found["candidates"])) == (
        "IMPLICIT_PRECOMP_GEMM",
        8,
    )
    assert found["candidates"][0]["time_us"] == 16.384
    assert [c["status"] for c in found["candidates"]].count("failed") == 1
    assert {c["evidence"] for c in found["candidates"]} == {"measured"}
    ranked = problems["cudnnGetConvolutionForwardAlgorithm_v7"]
    assert {c["evidence"] for c in ranked["candidates"]} == {"predicted"}
    assert {c["status"] for c in ranked["candidates"]} == {"not_tried", "unsupported"}


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    path = log(tmp_path, ENTRY)
    with pytest.raises(UsageError, match="given twice"):
        import_files([path, path], tmp_path / "trace")


def test_a_call_in_one_file_lies_inside_a_range_of_another(tmp_path: Path) -> None:
    """The cuDNN log and the NVTX ranges of one thread, from two files."""
    start = 1795444632 * 10**9  # 2026-11-23T14:37:12
    thread = 28210 << 24 | 28229
    base = made(
        tmp_path / "x.sqlite",
        "CREATE TABLE TARGET_INFO_SESSION_START_TIME (utcEpochNs INTEGER)",
        f"INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES ({start})",
        "CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, eventType INTEGER, text TEXT, globalTid INTEGER)",
        f"INSERT INTO NVTX_EVENTS VALUES (1000, 900000000, 59, 'train step', {thread})",
        f"INSERT INTO NVTX_EVENTS VALUES (1000, 900000000, 59, 'another thread', {thread + 1})",
    )
    trace = imported(tmp_path, base, log(tmp_path, ENTRY + STATUS))
    (link,) = trace.links.to_dict("records")
    names = trace.events.set_index("event_id")["name"]
    assert (names[link["parent_id"]], names[link["child_id"]]) == ("train step", "cudnnBackendFinalize")
    assert (link["rule"], link["evidence"]) == ("containment", "joined")


def test_tables_are_rebuilt_from_the_copied_files_alone(tmp_path: Path) -> None:
    source = log(tmp_path, ENTRY + STATUS)
    trace = imported(tmp_path, source)
    events, manifest = trace.events, trace.manifest
    assert trace.path is not None
    assert (trace.path / "raw/imported/01/cudnn.log").read_bytes() == source.read_bytes()
    source.unlink()
    (trace.path / "events.parquet").unlink()
    again = load(trace.path)
    pd.testing.assert_frame_equal(again.events, events)
    (trace.path / "manifest.json").unlink()
    assert load(trace.path).manifest == manifest


def test_a_file_that_cannot_be_read_leaves_the_trace_that_stood_there(tmp_path: Path) -> None:
    trace = imported(tmp_path, log(tmp_path, ENTRY))
    assert trace.path is not None
    with pytest.raises(UsageError, match="--force"):
        import_files([tmp_path / "cudnn.log"], trace.path)
    with pytest.raises(InputError, match="bad: of no known format"):
        import_files([log(tmp_path, ENTRY), log(tmp_path, b"hello", "bad")], trace.path, force=True)
    assert len(load(trace.path).events) == 1


def test_a_file_inside_the_trace_to_replace_is_refused(tmp_path: Path) -> None:
    trace = imported(tmp_path, log(tmp_path, ENTRY))
    assert trace.path is not None
    inside = trace.path / "raw/imported/01/cudnn.log"
    with pytest.raises(UsageError, match="lies in"):
        import_files([inside], trace.path, force=True)
    assert inside.exists()


def test_a_log_directory_is_imported_as_its_profiles(shared_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "logs/plugins/profile/run"
    run.mkdir(parents=True)
    shutil.copyfile(shared_data / "xplane_gpu/v100_tf23_alexnet.xplane.pb", run / "host.xplane.pb")
    (run / "host.kernel_stats.pb").write_bytes(b"large")
    trace = imported(tmp_path, tmp_path / "logs")
    assert trace.path is not None
    kept = [
        p.relative_to(trace.path / "raw/imported") for p in (trace.path / "raw").rglob("*") if p.is_file()
    ]
    assert kept == [Path("01/logs/plugins/profile/run/host.xplane.pb")]
    assert (trace.events["layer"] == "device").sum() == 205


@pytest.mark.parametrize(
    "name",
    ["nsys/h100_2gpu_1s.sqlite", "onednn/onednn_v3.7.3_tf2.21_v1.log", "xplane_gpu/v100_tf23_alexnet.trace.json.gz",
     "xplane_gpu/t4_tf23_alexnet.xplane.pb", "cudnn_log/cudnn_v8_mixed_excerpts.log"],
)  # fmt: skip
def test_documents_of_imported_traces_keep_their_contracts(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    trace = imported(tmp_path, shared_data / name)
    check(dict(trace.manifest), "manifest")
    check(summary.document(trace), "summary")
    check(algorithms.document(trace), "algorithms")


def test_chrome_and_xplane_of_one_run_agree_on_device_time(shared_data: Path, tmp_path: Path) -> None:
    totals = []
    for suffix in ("trace.json.gz", "xplane.pb"):
        trace = load(
            import_files([shared_data / f"xplane_gpu/v100_tf23_alexnet.{suffix}"], tmp_path / suffix)
        )
        events = trace.events
        totals.append(
            (
                int((events["layer"] == "device").sum()),
                int(events[events["layer"] == "device"]["dur_ns"].sum()),
            )
        )
    assert totals[0][0] == totals[1][0]
    assert (
        abs(totals[0][1] - totals[1][1]) <= totals[0][0]
    )  # the JSON holds us with decimals: 1 ns an event at most
