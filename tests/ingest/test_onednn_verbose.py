"""oneDNN's verbose lines, from MKL-DNN 0.x to oneDNN 3.x: nothing lost, problems in TensorFlow's terms."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.ingest.onednn_verbose import MemoryDescriptor, VerboseLine, parse_line, problem_of

SOURCE, RESULT = "src:f32::blocked:acdb::f0", "dst:f32::blocked:acdb::f0"
MEMORY = f"{SOURCE} wei:f32:a:blocked:Acdb16a::f0 bia:f32:a:blocked:a::f0 {RESULT}"
FORWARD = (
    "onednn_verbose,v1,1795442300064.604980,primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core,"
    f"forward_training,{MEMORY},attr-scratchpad:user attr-post-ops:eltwise_relu,alg:convolution_direct,"
    "mb16_ic16oc32_ih32oh16kh3sh2dh0ph0_iw32ow16kw3sw2dw0pw0,0.720947"
)


def read(text: str) -> VerboseLine:
    line = parse_line(text)
    assert line is not None
    assert line.text() == text
    return line


def convolution(problem: str, tag: str = "acdb", propagation: str = "forward_training", **more: str) -> dict:
    memory = (
        f"src:f32::blocked:{tag}::f0 wei:f32::blocked:any::f0 bia:undef::undef::: dst:f32::blocked:{tag}::f0"
    )
    primitive = more.get("primitive", "convolution")
    memory, attributes = more.get("memory", memory), more.get("attributes", "")
    text = (
        f"onednn_verbose,v1,primitive,exec,cpu,{primitive},jit:avx2,{propagation},{memory},{attributes},"
        f"alg:convolution_direct,{problem},1.5"
    )
    found = problem_of(read(text))
    assert found is not None
    return found


def test_every_field_of_an_executed_primitive() -> None:
    line = read(FORWARD)
    assert (line.marker, line.version, line.component, line.operation) == (
        "onednn_verbose",
        1,
        "primitive",
        "exec",
    )
    assert (line.engine, line.primitive) == ("cpu", "convolution")
    assert (line.implementation, line.propagation) == ("brg_conv_fwd:avx512_core", "forward_training")
    assert line.memory == tuple(MEMORY.split(" "))
    assert line.descriptors == (
        MemoryDescriptor("src", "f32", "acdb"),
        MemoryDescriptor("wei", "f32", "Acdb16a"),
        MemoryDescriptor("bia", "f32", "a"),
        MemoryDescriptor("dst", "f32", "acdb"),
    )
    assert line.aux == {"alg": "convolution_direct"}
    assert line.algorithm == "convolution_direct"
    assert line.post_ops == ["eltwise_relu"]
    assert line.ms == 0.720947
    assert line.timestamp_ns == 1795442300064604980  # a float of milliseconds would end in ..604980469
    assert line.rest == ()


def test_problem_has_tensorflows_terms() -> None:
    assert problem_of(read(FORWARD)) == {
        "op": "convolution",
        "direction": "forward",
        "input": [16, 32, 32, 16],
        "filter": [3, 3, 16, 32],
        "output": [16, 16, 16, 32],
        "strides": [2, 2],
        "dilations": [1, 1],
        "padding": [[0, 1], [0, 1]],  # what SAME pads on an even size with stride 2
        "groups": 1,
        "layout": "NHWC",
        "dtype": "float32",
        "math": None,
        "fused": ["bias", "eltwise_relu"],
    }


@pytest.mark.parametrize(
    ("propagation", "direction"),
    [
        ("forward_training", "forward"),
        ("forward_inference", "forward"),
        ("backward_data", "backprop_input"),
        ("backward_weights", "backprop_filter"),
        ("undef", "other"),
    ],
)
def test_direction(propagation: str, direction: str) -> None:
    problem = "mb2_ic3oc4_ih8oh8kh3sh1dh0ph1_iw8ow8kw3sw1dw0pw1"
    assert convolution(problem, propagation=propagation)["direction"] == direction


@pytest.mark.parametrize(
    ("tag", "layout", "sizes"),
    [
        ("acdb", "NHWC", [2, 8, 9, 3]),
        ("abcd", "NCHW", [2, 3, 8, 9]),
        ("aBcd16b", "nChw16c", [2, 3, 8, 9]),
        ("any", None, [2, 3, 8, 9]),
        ("nhwc", "NHWC", [2, 8, 9, 3]),
    ],
)
def test_input_is_in_the_order_of_the_layout(tag: str, layout: str | None, sizes: list[int]) -> None:
    found = convolution("mb2_ic3oc4_ih8oh8kh3sh1dh0ph1_iw9ow9kw3sw1dw0pw1", tag)
    assert (found["layout"], found["input"]) == (layout, sizes)


def test_three_dimensions_dilation_and_groups() -> None:
    found = convolution(
        "g4mb2_ic8oc12_id10od6kd3sd1dd1pd0_ih20oh10kh5sh2dh0ph2_iw7ow7kw1sw1dw0pw0", tag="acdeb"
    )
    assert found["input"] == [2, 10, 20, 7, 8]
    assert found["filter"] == [3, 5, 1, 2, 12]  # 8 channels in 4 groups
    assert found["output"] == [2, 6, 10, 7, 12]
    assert found["dilations"] == [2, 1, 1]
    assert found["strides"] == [1, 2, 1]
    assert found["padding"] == [[0, 0], [2, 1], [0, 0]]
    assert (found["groups"], found["layout"]) == (4, "NDHWC")


def test_one_dimension() -> None:
    found = convolution("mb1_ic2oc3_iw16ow8kw4sw2dw0pw1", tag="acb")
    assert (found["input"], found["filter"], found["padding"]) == ([1, 16, 2], [4, 2, 3], [[1, 1]])
    assert found["layout"] == "NWC"


def test_a_remainder_of_the_stride_is_not_negative_padding() -> None:
    assert convolution("mb1_ic1oc1_ih8oh3kh3sh2dh0ph0_iw8ow3kw3sw2dw0pw0")["padding"] == [[0, 0], [0, 0]]


def test_padding_of_a_deconvolution() -> None:
    found = convolution("mb1_ic1oc1_ih4oh8kh4sh2dh0ph1_iw4ow9kw5sw2dw0pw1", primitive="deconvolution")
    assert found["padding"] == [[1, 1], [1, 1]]
    assert (found["input"], found["output"]) == ([1, 4, 4, 1], [1, 8, 9, 1])


def test_types_that_differ_are_all_told() -> None:
    memory = "src:u8::blocked:acdb::f0 wei:s8::blocked:any::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0"
    found = convolution("mb1_ic1oc1_ih4oh4kh1sh1dh0ph0_iw4ow4kw1sw1dw0pw0", memory=memory)
    assert (found["dtype"], found["filter_dtype"], found["output_dtype"]) == ("uint8", "int8", "float32")


def test_sizes_known_only_at_run_time_stay_a_text() -> None:
    found = convolution("mb*_ic3oc4_ih*oh*kh3sh1dh0ph1_iw*ow*kw3sw1dw0pw1")
    assert "input" not in found
    assert found["shapes"] == "mb*_ic3oc4_ih*oh*kh3sh1dh0ph1_iw*ow*kw3sw1dw0pw1"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", []),
        ("attr-scratchpad:user", []),
        ("attr-scratchpad:user attr-post-ops:sum:1+eltwise_relu:0:1", ["sum:1", "eltwise_relu:0:1"]),
        ("attr-post-ops:eltwise_relu ", ["eltwise_relu"]),
        ("post_ops:'sum;eltwise_relu;'", ["sum", "eltwise_relu"]),
        ("oscale:0;post_ops:'eltwise_relu;';", ["eltwise_relu"]),
    ],
)
def test_post_ops_of_every_version(attributes: str, expected: list[str]) -> None:
    text = FORWARD.replace("attr-scratchpad:user attr-post-ops:eltwise_relu", attributes)
    assert read(text).post_ops == expected


def test_math_mode() -> None:
    found = convolution("mb1_ic1oc1_ih4oh4kh1sh1dh0ph0_iw4ow4kw1sw1dw0pw0", attributes="attr-fpmath:bf16")
    assert found["math"] == "bf16"


def test_matrix_product_keeps_its_sizes_as_text() -> None:
    line = read(
        "onednn_verbose,v1,1795442300099.708984,primitive,exec,cpu,gemm_api,,undef,"
        "src_f32::blocked:ab:f0 wei_f32::blocked:ba:f0 dst_f32::blocked:ab:f0,,,16x10:10x32,0.0219727"
    )
    assert line.implementation == ""
    assert line.algorithm is None
    problem = problem_of(line)
    assert problem is not None
    assert (problem["op"], problem["direction"], problem["shapes"]) == ("gemm_api", "other", "16x10:10x32")
    assert (problem["dtype"], problem["layout"]) == ("float32", "ab")


def test_two_kinds_of_pooling_are_two_problems() -> None:
    text = (
        f"onednn_verbose,v1,primitive,exec,cpu,pooling,jit:avx512_core,forward_training,{SOURCE} {RESULT}"
        ",,alg:pooling_max,mb16ic32_ih16oh8kh2sh2dh0ph0_iw16ow8kw2sw2dw0pw0,0.16"
    )
    assert problem_of(read(text)) != problem_of(
        read(text.replace("pooling_max", "pooling_avg_exclude_padding"))
    )


def test_lines_of_mkl_dnn_have_no_engine_and_no_attributes() -> None:
    line = read(
        "mkldnn_verbose,exec,convolution,jit:avx2,forward_training,"
        "fsrc:nChw8c fwei:OIhw8i8o fbia:x fdst:nChw8c,alg:convolution_direct,"
        "mb2_ic8oc16_ih8oh8kh3sh1dh0ph1_iw8ow8kw3sw1dw0pw1,0.25"
    )
    assert (line.engine, line.attributes, line.ms) == (None, None, 0.25)
    problem = problem_of(line)
    assert problem is not None
    assert (problem["layout"], problem["fused"], problem["input"]) == ("nChw8c", [], [2, 8, 8, 8])
    reorder = read(
        "mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_nchw out:f32_nChw8c,num:1,2x16x7x7,0.484863"
    )
    assert reorder.descriptors[0] == MemoryDescriptor("in", "f32", "nchw")


def test_timestamp_before_format_versions() -> None:
    line = read(
        "onednn_verbose,1695442300099.7,exec,cpu,matmul,gemm:jit,undef,src_f32::blocked:ab:f0,,,4x4:4x4,0.02"
    )
    assert (line.version, line.timestamp_ns, line.primitive) == (0, 1695442300099700000, "matmul")


def test_header_names_the_library() -> None:
    assert read("onednn_verbose,v1,info,oneDNN v3.7.3 (commit N/A)").library_version == "3.7.3"
    assert read("dnnl_verbose,info,DNNL v1.1.2 (commit cb2cc7a)").library_version == "1.1.2"
    assert read("onednn_verbose,v1,info,cpu,runtime:threadpool,nthr:2").library_version is None


@pytest.mark.parametrize(
    "text",
    [
        "onednn_verbose,v1,graph,exec,cpu,100002,convolution_post_ops,conv;relu,NXC,in0:f32,fpm:strict,sdp,dnnl_backend,1.2",
        "onednn_verbose,v1,primitive,create:dispatch,matmul,cpu,matmul,brg:avx512,undef,src,,,1x1:1x1,unsupported,src/a.cpp:1",
        "onednn_verbose,v1,common,error,ocl,something, with a comma",
        "onednn_verbose,v1",
        "onednn_verbose,",
        "onednn_verbose,v1,primitive,exec",
        FORWARD[: len(FORWARD) // 2],
    ],
)
def test_what_is_not_understood_is_kept_and_is_no_problem(text: str) -> None:
    assert problem_of(read(text)) is None


@pytest.mark.parametrize(
    "text", ["", "2.21.0", "onednn_verbose", "  onednn_verbose,v1,info", "onednn_verbose2,exec,cpu"]
)
def test_other_output_is_not_a_line(text: str) -> None:
    assert parse_line(text) is None


def test_a_line_end_is_not_part_of_the_line() -> None:
    assert parse_line(FORWARD + "\r\n") == parse_line(FORWARD)


WORD = st.text(st.characters(exclude_characters=",\r\n", exclude_categories=["Cs"]), max_size=20)


@given(
    st.lists(WORD, min_size=1, max_size=14),
    st.sampled_from(["onednn_verbose", "dnnl_verbose", "mkldnn_verbose"]),
)
def test_any_line_with_a_marker_is_read_without_loss(tokens: list[str], marker: str) -> None:
    text = ",".join([marker, *tokens])
    line = parse_line(text)
    assert line is not None
    assert line.text() == text
    problem_of(line)  # hostile text is at worst not understood


@given(
    words=st.tuples(WORD, WORD, WORD, WORD, WORD, WORD, WORD),
    ms=st.floats(0, 1e6).map(lambda x: f"{x:g}"),
    version=st.integers(0, 3),
    timestamp=st.none() | st.integers(0, 2**44).map(lambda x: f"{x}.{x % 1000000:06d}"),
    component=st.sampled_from([None, "primitive"]),
    engine=st.sampled_from(["cpu", "gpu", "gpu1"]),
    operation=st.sampled_from(["exec", "create:cache_hit", "create_nested:cache_miss"]),
)
def test_every_field_survives_the_round_trip(
    words: tuple[str, str, str, str, str, str, str],
    ms: str,
    version: int,
    timestamp: str | None,
    component: str | None,
    engine: str,
    operation: str,
) -> None:
    line = VerboseLine("onednn_verbose", version, timestamp, component, operation, engine, *words, ms)
    assert parse_line(line.text()) == line
    assert line.ms == float(ms)


LOGS = [
    "onednn_old_versions_excerpts.log",
    "onednn_v3.7.3_tf2.21_timestamp.log",
    "onednn_v3.7.3_tf2.21_v1.log",
]


@pytest.mark.parametrize("name", LOGS)
def test_recorded_logs_are_read_without_loss(shared_data: Path, name: str) -> None:
    texts = (shared_data / "onednn" / name).read_text().splitlines()
    lines = [line for text in texts if (line := parse_line(text)) is not None]
    assert [line.text() for line in lines] == [text for text in texts if "_verbose," in text]
    executed = [line for line in lines if line.kind == "exec" and line.operation == "exec"]
    assert executed
    for line in executed:
        assert line.ms is not None
        assert line.rest == ()
        assert len(line.descriptors) == len(line.memory) >= 2
    for problem in (problem_of(line) for line in executed if line.primitive == "convolution"):
        assert problem is not None
        assert {"input", "filter", "output", "padding"} <= problem.keys()


def test_recorded_depthwise_convolution(shared_data: Path) -> None:
    text = (shared_data / "onednn" / LOGS[1]).read_text()
    depthwise = next(line for line in text.splitlines() if "brdgmm_dw" in line)
    problem = problem_of(read(depthwise))
    assert problem is not None
    assert (problem["filter"], problem["groups"], problem["input"]) == ([3, 3, 1, 32], 32, [16, 16, 16, 32])
