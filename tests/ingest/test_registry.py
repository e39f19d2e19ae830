"""The reader of a file is found by what the file holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tftrace.errors import InputError
from tftrace.ingest.registry import find, readers

KINDS = {
    "nsys/h100_2gpu_1s.sqlite": "nsys",
    "xplane_gpu/v100_tf23_alexnet.xplane.pb": "xplane",
    "xplane_gpu/tfprofiler_demo_gpu_multiworker.xplane.pb": "xplane",
    "xplane_rocm/rocm_mi300_jax08_gemm.xplane.pb": "xplane",
    "xplane_tpu/xprof_tpu_v6e_inference.xplane.pb": "xplane",
    "xplane_gpu": "tensorboard",
    "xplane_gpu/v100_tf23_alexnet.trace.json.gz": "chrome",
    "onednn/onednn_v3.7.3_tf2.21_v1.log": "onednn_log",
    "tf_log/tf1x_vlog_excerpts.log": "tf_log",
    "tf_standin_gpu/xla_autotune.textproto": "xla_autotune",
    "tf_log/tf_xla_slow_alarm_a100_cudnn9.19.log": "tf_log",
    "tf_standin_gpu/vlog_grad.log": "tf_log",
    "onednn/onednn_old_versions_excerpts.log": "onednn_log",
    "cudnn_log/cudnn_v7501_find_excerpt.log": "cudnn_log",
    "cudnn_log/cudnn_v90000_nvidia_docs_excerpt.txt": "cudnn_log",
    "cudnn_log/cudnn_v92400_callback_julia_excerpt.log": "cudnn_log",
    "cudnn_log/cudnn_v9_excerpts.log": "cudnn_log",
    "cudnn9_genuine/tf_real_cudnn/cudnn_level3_warm.log.gz": "cudnn_log",
    "cudnn9_genuine/tf_real_cudnn/frontend_info_cold.log": "cudnn_frontend_log",
    "tf_standin_gpu/frontend_info_grad.log": "cudnn_frontend_log",
}


def test_every_reader_says_what_it_is() -> None:
    known = readers()
    assert len({r.NAME for r in known}) == len(known)
    assert all(r.TITLE for r in known)


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_recorded_files_are_known_under_any_name(
    shared_data: Path, tmp_path: Path, name: str, kind: str
) -> None:
    found = find(shared_data / name).reader.NAME
    assert found == kind
    if (shared_data / name).is_file():
        shutil.copyfile(shared_data / name, tmp_path / "renamed")
        found = find(tmp_path / "renamed").reader.NAME
        assert found == kind


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p.touch(), "is empty"),
        (lambda p: p.write_text("hello\n"), "of no known format"),
        (lambda p: p.write_bytes(b"\x1f\x8b\x08\x00 no gzip"), "of no known format"),
        (lambda p: p.mkdir(), r"without \*\.xplane\.pb"),
        (lambda p: None, "does not exist"),
        (lambda p: p.symlink_to("/dev/null"), "neither file nor directory"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "thing"
    make(path)  # type: ignore[operator]
    with pytest.raises(InputError, match=f"thing: .*{says}") as caught:
        find(path)
    assert "\n" not in str(caught.value)
