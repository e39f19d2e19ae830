"""Which cuDNN is asked: by environment, version or directory, and a line with the way to get it where there is none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tftrace.capture.cudnn_install import find, versions_directory
from tftrace.errors import UsageError


@pytest.fixture(autouse=True)
def _nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        sys, "path", [folder for folder in sys.path if not (Path(folder) / "nvidia").exists()]
    )


def put(folder: Path, version: str | None, cublaslt: bool = False) -> Path:
    library = folder / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    library.parent.mkdir(parents=True)
    library.touch()
    if version is not None:
        (folder / f"nvidia_cudnn_cu12-{version}.dist-info").mkdir()
    if cublaslt:
        beside = folder / "nvidia" / "cublas" / "lib" / "libcublasLt.so.12"
        beside.parent.mkdir(parents=True)
        beside.touch()
    return library


def test_without_one_the_extra_is_named() -> None:
    with pytest.raises(UsageError, match=re.escape("pip install 'tftrace[cudnn]'")) as refused:
        find()
    assert refused.value.exit_code == 2


def test_the_environments_own_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = put(tmp_path / "site", "9.28.0.42")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert (find().library, find().version) == (library, "9.28.0.42")
    assert find("9.28") == find("9") == find("9.28.0.42") == find()


def test_a_version_is_found_among_those_kept(tmp_path: Path) -> None:
    ten = put(versions_directory() / "one", "9.10.2.21")
    put(versions_directory() / "two", "9.1.0.70")
    assert find("9.10").library == ten
    assert find("9.1").version == "9.1.0.70"  # not 9.10
    with pytest.raises(UsageError, match=r"--cudnn 9\.8: not installed \(there is .*9\.10\.2\.21") as refused:
        find("9.8")
    assert f"--target {versions_directory() / '9.8'} 'nvidia-cudnn-cu12==9.8.*'" in str(refused.value)


@pytest.mark.parametrize("below", ["", "nvidia/cudnn/lib", "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cudnn"])
def test_a_directory_may_be_given_at_any_height(below: str, tmp_path: Path) -> None:
    library = put(tmp_path / "site", None)
    assert find(str(tmp_path / "site" / below)).library == library


def test_a_virtual_environment_may_be_given(tmp_path: Path) -> None:
    library = put(tmp_path / "venv" / "lib" / "python3.12" / "site-packages", "9.11.0.98")
    found = find(str(tmp_path / "venv"))
    assert (found.library, found.version) == (library, "9.11.0.98")


def test_a_version_can_be_read_from_the_header(tmp_path: Path) -> None:
    library = put(tmp_path, None)
    header = library.parents[1] / "include" / "cudnn_version.h"
    header.parent.mkdir()
    header.write_text("#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 10\n#define CUDNN_PATCHLEVEL 2\n")
    assert find(str(tmp_path)).version == "9.10.2"
    header.write_text("#define CUDNN_MAJOR 9\n")
    assert find(str(tmp_path)).version is None


@pytest.mark.parametrize("given", ["/nowhere", "README.md", "."])
def test_a_place_without_cudnn_is_one_line(given: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--cudnn {given}: it holds no libcudnn.so.9")):
        find(given)


def test_cublaslt_is_taken_from_beside_it_then_from_the_environment_then_from_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(versions_directory() / "kept", "9.10.2.21", cublaslt=True)
    put(tmp_path / "own", "9.28.0.42", cublaslt=True)
    put(tmp_path / "site", "9.27.0.42", cublaslt=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    places = find(str(tmp_path / "own")).cublaslt
    of = [str(folder / "nvidia/cublas/lib/libcublasLt.so.12") for folder in
          (tmp_path / "own", tmp_path / "site", versions_directory() / "kept")]  # fmt: skip
    assert places == [*of, "libcublasLt.so.12", "libcublasLt.so.13"]
