"""What `why` and `summary` say of a GPU profile that was recorded without tftrace."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.contracts import check
from tftrace.analysis import chain, summary
from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.model.trace import Trace


@pytest.fixture(scope="module")
def resnet(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """One training step of a ResNet-50 v2 on a V100, TensorFlow 2.3."""
    path = shared_data / "xplane_gpu" / "v100_tf23_resnet50v2_train.xplane.pb"
    return load(import_files([path], tmp_path_factory.mktemp("imported") / "resnet"))


@pytest.fixture(scope="module")
def why(resnet: Trace) -> dict[str, Any]:
    return chain.document(resnet, "conv2d")


def test_every_convolution_of_the_model_is_told(why: dict[str, Any]) -> None:
    check(why, "why")
    assert sum(group["count"] for group in why["groups"]) == 53  # of ResNet-50: 1 + 3 * 16 + 4 shortcuts
    assert {(group["mode"], group["device"]) for group in why["groups"]} == {("native", "/device:GPU:0")}


def test_the_chain_ends_in_the_kernels_that_ran_and_says_what_the_file_cannot_tell(
    why: dict[str, Any],
) -> None:
    for group in why["groups"]:
        entries = {entry["layer"]: entry for entry in group["chain"]}
        for layer in ("python", "api", "gen_op", "stream_executor"):
            assert entries[layer]["name"] is None
            assert entries[layer]["reason"]
        assert entries["kernel"]["name"] == f"{group['node']}:Conv2D"
        assert entries["kernel"]["evidence"] == "joined"
        assert (entries["library"]["name"], entries["library"]["evidence"]) == ("cuLaunchKernel", "joined")
        device = entries["device"]
        assert (device["evidence"], device["rule"], device["parent"]) == (
            "measured",
            "correlation id",
            "library",
        )
        assert device["total_us"] == pytest.approx(sum(work["total_us"] for work in group["device_work"]))
        costs = [work["total_us"] for work in group["device_work"]]
        assert costs == sorted(costs, reverse=True)
        assert device["name"] == group["device_work"][0]["name"]


def test_convolutions_run_cudnns_kernels(why: dict[str, Any]) -> None:
    costliest = Counter(group["device_work"][0]["name"] for group in why["groups"])
    assert all("scudnn" in name or "gemm" in name or "cudnn" in name for name in costliest)


def test_summary_tells_ops_and_kernels_of_the_device(resnet: Trace) -> None:
    document = summary.document(resnet)
    check(document, "summary")
    rows = {row["op"]: row for row in document["rows"]}
    assert rows["Conv2D"]["device_us"] > 10 * rows["Conv2D"]["total_us"]
    kernels = summary.document(resnet, "kernel")["rows"]
    assert kernels[0]["layer"] == "device"
    status = {row["layer"]: row["status"] for row in document["layers"]}
    assert (status["kernel"], status["python"]) == ("observed", "unobserved")
