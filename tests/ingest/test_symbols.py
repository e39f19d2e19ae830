"""Names for recorded addresses: whole ELF files of our own, the C library of this machine, TensorFlow's."""

import ctypes
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.elf_writer import OBJECT, PAGE, write_elf
from tftrace.errors import InputError
from tftrace.ingest.elf import ElfError, ElfFunctions
from tftrace.ingest.symbols import NO_FILE, Symbol, Symbolizer

BASE = 0x7F12_3456_7000
ADDRESS, SIZE = 3 * PAGE, 2 * PAGE  # of the segment that `write_elf` makes
FUNCTIONS = [
    ("_ZN10tensorflow1A1fEi", ADDRESS, 0x40),
    ("plain", ADDRESS + 0x40, 0x10),
    ("late", ADDRESS + 0x100, 8),
]


def maps(
    path: Path | str, *, first: int = BASE, size: int = SIZE, offset: int = PAGE, flags: str = "r-xp"
) -> str:
    return f"{first:x}-{first + size:x} {flags} {offset:08x} 08:01 4711                 {path}\n"


def resolve(text: str, *addresses: int) -> list[Symbol]:
    return Symbolizer(text).resolve(np.array(addresses, np.uint64))


def own_maps() -> str:
    return Path("/proc/self/maps").read_text()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "lib with space.so"
    write_elf(path, FUNCTIONS)
    return path


def test_function_module_and_offset(library: Path) -> None:
    assert resolve(maps(library), BASE + 0x45, BASE + 0x11) == [
        Symbol("plain", str(library), 5, "plain"),
        Symbol("tensorflow::A::f(int)", str(library), 0x11, "_ZN10tensorflow1A1fEi"),
    ]


def test_a_return_address_belongs_to_the_call_before_it(library: Path) -> None:
    # a call as the last instruction of f returns to where the next function begins
    (symbol,) = resolve(maps(library), BASE + 0x40)
    assert (symbol.function, symbol.offset) == ("tensorflow::A::f(int)", 0x40)


def test_addresses_between_functions_are_in_none(library: Path) -> None:
    (symbol,) = resolve(maps(library), BASE + 0x80)
    assert symbol == Symbol(None, str(library), PAGE + 0x80, None, "no symbol covers it")


def test_a_function_without_a_size_reaches_to_the_next_one_unless_the_file_is_stripped(
    tmp_path: Path,
) -> None:
    functions = [("start", ADDRESS, 0), ("next", ADDRESS + 0x20, 4)]
    write_elf(tmp_path / "whole.so", functions)
    write_elf(tmp_path / "stripped.so", functions, dynamic=True)
    assert resolve(maps(tmp_path / "whole.so"), BASE + 0x11)[0].function == "start"
    assert resolve(maps(tmp_path / "stripped.so"), BASE + 0x11)[0].function is None


def test_order_and_repetition_of_addresses_are_kept(library: Path) -> None:
    found = resolve(maps(library), BASE + 0x45, BASE + 0x11, BASE + 0x45, 0, 2**64 - 1)
    assert [s.raw for s in found] == ["plain", "_ZN10tensorflow1A1fEi", "plain", None, None]
    assert [s.reason for s in found[3:]] == ["not in the memory map"] * 2


def test_no_addresses_give_no_symbols(library: Path) -> None:
    assert resolve(maps(library)) == []
    assert Symbolizer("").resolve(np.array([1], np.uint64))[0].reason == "not in the memory map"


def test_code_without_a_file(library: Path) -> None:
    text = maps(library) + maps("", first=BASE + 0x10000) + maps("[vdso]", first=BASE + 0x20000)
    made, kernel = resolve(text, BASE + 0x10010, BASE + 0x20010)
    assert (made.function, made.module) == (NO_FILE, None)
    assert (kernel.function, kernel.module, kernel.reason) == (None, "[vdso]", "not a file")


def test_a_segment_split_by_a_change_of_protection_is_still_the_same_file(library: Path) -> None:
    text = maps(library, size=PAGE) + maps(
        library, first=BASE + PAGE, size=PAGE, offset=2 * PAGE, flags="rwxp"
    )
    assert resolve(text, BASE + 0x45)[0].function == "plain"


def test_files_that_cannot_tell_say_why(library: Path, tmp_path: Path) -> None:
    write_elf(tmp_path / "other.so", FUNCTIONS, size=3 * PAGE)
    write_elf(tmp_path / "data.so", FUNCTIONS, kind=OBJECT)
    (tmp_path / "text.so").write_text("not ELF at all, but longer than a header of 64 bytes would be: ....")
    (tmp_path / "empty.so").touch()
    (tmp_path / "cut.so").write_bytes(library.read_bytes()[:100])
    os.mkfifo(tmp_path / "pipe.so")  # opening it would wait for a writer for ever
    reasons = {
        "other.so": "the file has changed since the run",
        "data.so": "no symbol covers it",
        "text.so": "not an ELF file",
        "empty.so": "empty file",
        "cut.so": "damaged ELF file",
        "gone.so": "No such file or directory",
        "pipe.so": "not a regular file",
        "lib with space.so (deleted)": "the file was deleted or replaced during the run",
    }
    for name, reason in reasons.items():
        (symbol,) = resolve(maps(tmp_path / name), BASE + 0x45)
        assert (symbol.function, symbol.reason) == (None, reason), name
        assert symbol.module == str(tmp_path / name.removesuffix(" (deleted)"))


def test_a_file_replaced_in_between_is_read_anew(library: Path) -> None:
    assert resolve(maps(library), BASE + 0x45)[0].function == "plain"
    library.unlink()
    write_elf(library, [("renamed_since", ADDRESS, 0x100)])
    assert resolve(maps(library), BASE + 0x45)[0].function == "renamed_since"


def test_of_two_names_of_one_address_one_is_taken_once(tmp_path: Path) -> None:
    write_elf(tmp_path / "a.so", [("alias", ADDRESS, 8), ("alias_too", ADDRESS, 8), ("no_size", ADDRESS, 0)])
    assert len(ElfFunctions(str(tmp_path / "a.so"))) == 1
    assert resolve(maps(tmp_path / "a.so"), BASE + 4)[0].function in ("alias", "alias_too")


def test_a_memory_map_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="memory map"):
        Symbolizer("hello\nworld\n")


def test_a_cut_last_line_is_no_reason_to_fail(library: Path) -> None:
    assert resolve(maps(library) + "7fff00000000-7fff0", BASE + 0x45)[0].function == "plain"


@given(
    st.text("0123456789abcdef-rwxp :/[]\n\\", max_size=200), st.lists(st.integers(0, 2**64 - 1), max_size=5)
)
def test_hostile_maps_never_raise_anything_else(text: str, addresses: list[int]) -> None:
    try:
        found = resolve(text, *addresses)
    except InputError:
        return
    assert len(found) == len(addresses)


@given(
    gaps=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 30)), min_size=1, max_size=40),
    offset=st.integers(1, 4).map(lambda n: n * PAGE),
    address=st.integers(1, 9).map(lambda n: n * PAGE),
    where=st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=40),
)
def test_every_address_is_in_the_function_that_covers_it(
    gaps: list[tuple[int, int]], offset: int, address: int, where: list[int]
) -> None:
    functions, at = [], address
    for number, (gap, length) in enumerate(gaps):
        functions.append((f"f{number}", at + gap, length))
        at += gap + length
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.so"
        write_elf(path, functions, offset=offset, address=address)
        found = resolve(maps(path, offset=offset), *(BASE + w + 1 for w in where))
    for w, symbol in zip(where, found, strict=True):
        covers = [name for name, start, length in functions if start <= address + w < start + length]
        assert symbol.function == (covers[0] if covers else None)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_damaged_files_raise_elf_errors_only(noise: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.so"
        write_elf(path, FUNCTIONS)
        whole = bytearray(path.read_bytes())
        whole[at : at + len(noise)] = noise
        path.write_bytes(whole)
        try:
            functions = ElfFunctions(str(path))
        except ElfError:
            return
        addresses, _ = functions.addresses(np.arange(0, 8 * PAGE, 16, dtype=np.uint64))
        assert len(functions.find(addresses)) == len(addresses)
        for index in range(min(len(functions), 5)):
            assert isinstance(functions.name(index), str)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")
def test_functions_of_the_c_library_of_this_process() -> None:
    libc = ctypes.CDLL(None)
    wanted = {
        name: ctypes.cast(libc[name], ctypes.c_void_p).value or 0
        for name in ("printf", "malloc", "getpid", "qsort")
    }
    found = resolve(own_maps(), *(address + 1 for address in wanted.values()))
    for name, symbol in zip(wanted, found, strict=True):
        assert symbol.function is not None, symbol
        assert name in symbol.function  # `_IO_printf`, `__getpid`, `__libc_malloc` are the same functions
        assert symbol.offset == 1
        assert symbol.module is not None
        assert "libc" in Path(symbol.module).name


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")
def test_a_copy_of_a_loaded_library_resolves_from_its_own_map(tmp_path: Path) -> None:
    original = next(
        line.split()[-1] for line in own_maps().splitlines() if "r-xp" in line and "libc.so" in line
    )
    copy = tmp_path / "libc.so.6"
    shutil.copy(original, copy)
    text = own_maps().replace(original, str(copy))
    address = ctypes.cast(ctypes.CDLL(None)["qsort"], ctypes.c_void_p).value or 0
    assert resolve(text, address + 1)[0].module == str(copy)
    assert resolve(text, address + 1)[0].function == resolve(own_maps(), address + 1)[0].function


def tensorflow_library(name: str) -> Path:
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None or not (path := Path(spec.origin).with_name(name)).exists():
        pytest.skip(f"no TensorFlow with {name} here")
    return path


@pytest.mark.tf
def test_functions_of_tensorflows_framework_library() -> None:
    path = tensorflow_library("libtensorflow_framework.so.2")
    library = ctypes.CDLL(str(path))
    names = ["TSL_NewStatus", "TSL_DeleteStatus", "cudnnBackendExecute"]
    addresses = [ctypes.cast(library[name], ctypes.c_void_p).value or 0 for name in names]
    found = resolve(own_maps(), *(a + 1 for a in addresses))
    assert [s.raw for s in found] == names
    assert {s.module for s in found} == {str(path)}


@pytest.mark.tf
def test_every_sampled_function_of_tensorflow_resolves_to_itself() -> None:
    path = tensorflow_library("libtensorflow_cc.so.2")
    functions = ElfFunctions(str(path))
    assert len(functions) > 100_000
    segment = next(s for s in functions.segments if s.executable)
    first = segment.offset // PAGE * PAGE
    end = -(-(segment.offset + segment.size) // PAGE) * PAGE
    chosen = np.arange(0, len(functions), 997)
    chosen = chosen[functions.size[chosen] > 0]
    delta = np.uint64(BASE - first - segment.address + segment.offset)
    found = Symbolizer(maps(path, size=end - first, offset=first)).resolve(
        functions.start[chosen] + delta + np.uint64(1)
    )
    assert [s.raw for s in found] == [functions.name(i) for i in chosen.tolist()]
    assert {s.offset for s in found} == {1}
    kernels = [s.function for s in found if s.function and "OpKernelContext*" in s.function]
    assert len(kernels) > 10
