"""The exported names of functions and methods that run in packages other than TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType

import pytest

from tftrace.agent.pystacks import _exports, exported_names

SOURCE = """
import sys

def twice(look):
    return look(sys._getframe())

class Base:
    def call(self, look):
        return look(sys._getframe())

class Own(Base):
    def call(self, look):
        return look(sys._getframe())

class Heir(Base):
    pass
"""


@pytest.fixture
def package() -> Iterator[Callable[..., ModuleType]]:
    """Makes modules of a package `shown` whose code lies in its private module."""

    def module(name: str, **attributes: object) -> ModuleType:
        made = ModuleType(name)
        made.__dict__.update(attributes)
        sys.modules[name] = made
        return made

    source = module("shown.src.code")
    exec(SOURCE, source.__dict__)
    module("shown")
    _exports.pop("shown", None)  # of another test's modules
    yield module
    for name in [n for n in sys.modules if n == "shown" or n.startswith("shown.")]:
        del sys.modules[name]


def names(frame: FrameType) -> list[str]:
    return exported_names(frame)


def test_a_function_has_the_names_of_all_modules_that_hold_it(package: Callable[..., ModuleType]) -> None:
    code = sys.modules["shown.src.code"]
    package("shown.ops", double=code.twice, _hidden=code.twice)
    package("shown.deep.er", double=code.twice)
    assert code.twice(names) == ["shown.ops.double", "shown.deep.er.double"]


def test_a_module_that_comes_later_is_seen(package: Callable[..., ModuleType]) -> None:
    code = sys.modules["shown.src.code"]
    assert code.twice(names) == []
    package("shown.late", twice=code.twice)
    assert code.twice(names) == ["shown.late.twice"]


def test_a_method_goes_by_the_class_of_its_object_and_then_by_those_around_it(
    package: Callable[..., ModuleType],
) -> None:
    code = sys.modules["shown.src.code"]
    package("shown.layers", Heir=code.Heir, Own=code.Own, Base=code.Base)
    assert code.Heir().call(names) == ["shown.layers.Heir.call", "shown.layers.Base.call"]
    assert code.Base().call(names) == ["shown.layers.Base.call", "shown.layers.Heir.call"]
    assert code.Own().call(names) == ["shown.layers.Own.call"]


def test_private_modules_export_nothing(package: Callable[..., ModuleType]) -> None:
    code = sys.modules["shown.src.code"]
    package("shown._private", twice=code.twice)
    package("shown.python.inner", twice=code.twice)
    assert code.twice(names) == []
