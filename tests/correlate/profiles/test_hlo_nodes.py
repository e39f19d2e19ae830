"""From an HLO instruction to the nodes of the graph that it computes."""

from __future__ import annotations

from pathlib import Path

from tests.correlate.profiles.made_spaces import Plane, Programs, space
from tests.ingest.hlo_writer import Made, hlo
from tftrace.correlate.profiles.hlo_nodes import NAMED, SOURCES, USERS, HloNodes, add_instructions
from tftrace.correlate.tables.columns import NONE, TraceBuilder
from tftrace.ingest.hlo import read_hlo


def p(name: str, number: int = 0) -> Made:
    return Made(name, "parameter", parameter=number)


NODES = HloNodes(
    read_hlo(
        hlo(
            "a_inference_step_1",
            # bias and relu in one loop, which XLA names after its root
            relu=[p("a"), p("b", 1), Made("zero", "constant", "Relu"), Made("sum", "add", "BiasAdd", ("a", "b")),
                  Made("max", "maximum", "Relu", ("sum", "zero"))],
            # the result of a convolution without a name goes through the second parameter to its transpose
            update=[p("g", 0), p("c", 1), Made("turned", "transpose", "grad/Conv2DBackpropFilter", ("c",)),
                    Made("scaled", "multiply", "mul", ("g",)), Made("added", "add", "add_2", ("scaled", "turned"))],
            nameless=[p("n"), Made("plain", "transpose", None, ("n",))],
            entry=[
                Made("x", "parameter", "XLA_Args"), Made("w", "parameter", "XLA_Args", parameter=1),
                Made("Conv2D.1", "convolution", "Conv2D", ("x", "w")),
                Made("relu_fusion", "fusion", "Relu", ("Conv2D.1", "w"), ("relu",)),
                Made("before", "fusion", None, ("relu_fusion",), ("nameless",)),
                Made("convolution.2", "convolution", None, ("before", "x")),
                Made("update_fusion", "fusion", "add_2", ("w", "convolution.2"), ("update",)),
                Made("copied", "copy", None, ("update_fusion",)),
                Made("out", "tuple", None, ("copied",)),
            ],
        )
    )
)  # fmt: skip


def work(name: str) -> tuple[str | None, tuple[str, ...], str | None]:
    found = NODES.of(name)
    assert found is not None
    return found.node, found.others, found.rule


def test_an_instruction_leads_to_the_node_that_xla_names() -> None:
    assert work("Conv2D.1") == ("Conv2D", (), NAMED)


def test_a_fusion_leads_to_its_root_and_computes_the_rest() -> None:
    assert work("relu_fusion") == ("Relu", ("BiasAdd",), NAMED)


def test_without_a_name_it_works_for_the_first_that_uses_its_result() -> None:
    assert work("convolution.2") == ("grad/Conv2DBackpropFilter", (), USERS)
    assert work("before") == ("grad/Conv2DBackpropFilter", (), USERS)


def test_what_nobody_uses_leads_to_what_it_is_computed_from() -> None:
    assert work("copied") == ("add_2", (), SOURCES)


def test_an_instruction_that_the_program_lacks_leads_nowhere() -> None:
    assert NODES.of("never") is None


def test_on_a_gpu_the_program_tells_the_node_and_the_profile_only_where_it_does_not(tmp_path: Path) -> None:
    program = hlo("step", entry=[p("x"), Made("input_reduce_fusion.1", "negate", "grad/BiasAddGrad", ("x",))])
    of = {"hlo_module": "step", "program_id": 7}
    kernels = [
        ("k", 0, 1, of | {"hlo_op": "input_reduce_fusion.1", "name": "input_reduce_fusion"}),
        ("k", 2, 1, of | {"hlo_op": "of_another_program", "name": "Relu"}),
        ("k", 4, 1, of | {"hlo_op": "of_another_program"}),
    ]
    build = TraceBuilder()
    found = add_instructions(
        space(tmp_path, Plane("/device:GPU:0", {"stream": kernels}), Programs({"step": (7, program)})), build
    )
    texts = [None if code == NONE else build.words.values[code] for code in found.node]
    assert texts == ["grad/BiasAddGrad", "Relu", None]
