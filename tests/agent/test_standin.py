"""A stand-in driver is told from a real one, without loading either."""

import shutil
import subprocess
import sys

import pytest

from tests.capture.running import ROOT, environment

ASKED = f"import ctypes, sys; sys.path.insert(0, {str(ROOT)!r}); from tftrace.agent import standin; "


def asked(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASKED + code], capture_output=True, text=True, env=environment(**env)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_loaded_stand_in_says_what_it_is(standin_gpu):
    assert asked("ctypes.CDLL('libcuda.so.1'); print(standin.loaded())", **standin_gpu) == "True\n"


def test_a_driver_that_is_not_loaded_stays_so(standin_gpu):
    code = "print(standin.loaded(), 'libcuda' in open('/proc/self/maps').read())"
    assert asked(code, **standin_gpu) == "False False\n"


def test_another_driver_is_no_stand_in(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source = tmp_path / "driver.c"
    source.write_text("int cuInit(unsigned flags) { return 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", source], check=True)
    code = "ctypes.CDLL('libcuda.so.1'); print(standin.loaded())"
    assert asked(code, LD_LIBRARY_PATH=str(tmp_path)) == "False\n"
