"""HLO programs out of TensorFlow profiles."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.hlo_writer import Made, hlo
from tftrace.ingest.hlo import program_of, read_hlo
from tftrace.ingest.wire import WireError
from tftrace.ingest.xplane.space import read_xspace

RECORDED = Path(__file__).parents[2] / "traces" / "recordings" / "h200_jax_conv.xplane.pb"


@pytest.mark.parametrize("packed", [True, False], ids=["packed lists", "one by one"])
def test_instructions_with_operands_computations_and_names(packed: bool) -> None:
    module = read_hlo(
        hlo(
            "jit_f", packed,
            inside=[Made("p0", "parameter", parameter=0), Made("p1", "parameter", parameter=1),
                    Made("add.1", "add", "Add", ("p1", "p0"))],
            entry=[Made("x", "parameter"), Made("fusion", "fusion", "Add", ("x", "x"), ("inside",))],
        )
    )  # fmt: skip
    assert module.name == "jit_f"
    rows = {row.name: row for row in module.instructions}
    assert [module.instructions[o].name for o in rows["add.1"].operands] == ["p1", "p0"]
    assert [module.instructions[o].name for o in rows["fusion"].operands] == ["x", "x"]
    assert rows["fusion"].calls == (rows["add.1"].computation,)
    assert (rows["p0"].parameter, rows["p1"].parameter, rows["add.1"].parameter) == (0, 1, None)
    assert (rows["add.1"].op_name, rows["p0"].op_name) == ("Add", None)


def test_a_recorded_profile_holds_its_programs() -> None:
    programs = {p.name: p for p in read_xspace(RECORDED).programs}
    module = read_hlo(programs["jit__lambda"].hlo)
    named = {row.name: row.op_name for row in module.instructions}
    assert programs["jit__lambda"].program_id == 2655
    assert named["cudnn-conv-bw-input.1"] == "jit(<lambda>)/transpose(jvp())/conv_general_dilated"


def test_the_number_of_a_program_is_told_in_one_of_three_places() -> None:
    def number(title: str, **stats: object) -> int:
        (program,) = program_of(7, title, {"Hlo Proto": b"x", **stats})
        return program.program_id

    assert number("jit_f(12)", program_id=13) == 13
    assert number("jit_f(12)") == 12
    assert number("cluster_0") == 7
    assert list(program_of(7, "SYMBOL_MAP:1", {"symbol_id": 3})) == []


@given(st.binary(max_size=200))
def test_what_is_no_program_is_refused_or_read_without_a_crash(data: bytes) -> None:
    try:
        module = read_hlo(data)
    except WireError:
        return
    assert all(0 <= o < len(module.instructions) for row in module.instructions for o in row.operands)
