"""GPUs by name and from files; a file that describes none is one line that says what it lacks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.capture.gpu_properties import FOLDER, NUMBERS, TRIPLES, gpu, names
from tftrace.errors import InputError, UsageError

A100: dict[str, Any] = json.loads((FOLDER / "a100.json").read_text())


def test_the_named_ones_have_their_compute_capability() -> None:
    told = {name: gpu(name).compute_capability for name in names()}
    assert told == {"v100": (7, 0), "t4": (7, 5), "a100": (8, 0), "h100": (9, 0), "b200": (10, 0)}
    assert gpu("A100").device == "NVIDIA A100-SXM4-40GB"


def test_a_file_describes_one_that_is_not_named(tmp_path: Path) -> None:
    file = tmp_path / "l4.json"
    file.write_text(json.dumps(A100 | {"deviceVer": 890, "deviceName": "NVIDIA L4"}))
    described = gpu(str(file))
    assert (described.name, described.device, described.compute_capability) == ("l4", "NVIDIA L4", (8, 9))


def test_a_name_that_is_not_known_lists_those_that_are() -> None:
    with pytest.raises(
        UsageError, match="--gpu v900: no such GPU; there are v100, t4, a100, h100, b200, or a file"
    ):
        gpu("v900")


@pytest.mark.parametrize("key", ["deviceName", *NUMBERS, *TRIPLES])
def test_every_key_that_cudnn_wants_is_asked_for(key: str, tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps({k: v for k, v in A100.items() if k != key}))
    with pytest.raises(InputError, match=f"cuDNN wants {key} too; write it like .*a100.json") as refused:
        gpu(str(file))
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is not JSON"), ("[" * 100_000, "it is not JSON"), ("[]", "it is no object"), ("{}", "cuDNN wants"),
        (json.dumps(A100 | {"deviceVer": "800"}), "deviceVer is '800', not a whole number"),
        (json.dumps(A100 | {"deviceVer": -1}), "deviceVer is -1, not a whole number"),
        (json.dumps(A100 | {"warpSize": 32.5}), "warpSize is 32.5"),
        (json.dumps(A100 | {"isTccDriver": True}), "isTccDriver is True"),
        (json.dumps(A100 | {"maxGridSize": [1, 2]}), "maxGridSize is [1, 2], not three"),
        (json.dumps(A100 | {"deviceName": 5}), "deviceName is 5, not a text"),
        (" " * (1 << 20) + "{}", "it is larger than 1 MB"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    file.write_text(text)
    with pytest.raises(InputError, match=re.escape(says)):
        gpu(str(file))


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory; give a file of device properties"):
        gpu(str(tmp_path / "gpu.json"))
    (tmp_path / "dir.json").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        gpu(str(tmp_path / "dir.json"))


KEYS = st.sampled_from(["deviceName", *NUMBERS, *TRIPLES])
LEAVES = st.none() | st.integers() | st.text(max_size=5)


@settings(deadline=None)
@given(
    st.recursive(
        LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=5), max_leaves=8
    )
)
def test_any_json_is_a_gpu_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(A100 | value if isinstance(value, dict) else value))
    try:
        described = gpu(str(file))
    except InputError:
        return
    assert isinstance(described.device, str)
    assert all(isinstance(described.properties[key], int) for key in NUMBERS)
