"""Readable names of C++ functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.ingest.symbols import demangle, short_name

NAMES = {
    "main": "main",
    "tensorflow::MklConvOp<Eigen::ThreadPoolDevice, float, true>::Compute(tensorflow::OpKernelContext*)": (
        "tensorflow::MklConvOp::Compute"
    ),
    "void tensorflow::PadOp<Eigen::ThreadPoolDevice, unsigned int, long>::Operate<6>(bool (int)) const &": (
        "tensorflow::PadOp::Operate"
    ),
    "std::enable_if<(a<b>::value)&&c, mlir::D&>::type mlir::Diagnostic::operator<< <int>(int const&)": (
        "mlir::Diagnostic::operator<<"
    ),
    "tensorflow::(anonymous namespace)::ExecutorState<Propagator>::Process(TaggedNode, long)": (
        "tensorflow::(anonymous namespace)::ExecutorState::Process"
    ),
    "tensorflow::X::f(int)::{lambda(std::vector<int> const&)#1}::operator()(std::vector<int> const&) const": (
        "tensorflow::X::f::{lambda}::operator()"
    ),
    "tensorflow::X::f(int) const::{lambda()#2}::operator()() const::{lambda(int)#1}::__invoke(int)": (
        "tensorflow::X::f::{lambda}::operator()::{lambda}::__invoke"
    ),
    "tensorflow::$_220::operator()(tensorflow::KernelDef const*) const": "tensorflow::{lambda}::operator()",
    "std::_Function_handler<void (long, long), Eigen::Run<D<1, 2> >(int)::{lambda(long, long)#1}>"
    "::_M_invoke(std::_Any_data const&, long&&, long&&)": "Eigen::Run::{lambda}::operator()",
    "void std::__invoke_impl<void, tsl::Env::Start(int)::{lambda()#1}&>(std::__invoke_other, tsl::X&)": (
        "tsl::Env::Start::{lambda}::operator()"
    ),
    "void absl::lts_20250814::internal_any_invocable::LocalInvoker<false, void, xla::F(int)::$_0&>"
    "(absl::lts_20250814::internal_any_invocable::TypeErasedState*)": "xla::F::{lambda}::operator()",
    "std::_Function_handler<void (int), void (*)(int)>::_M_invoke(std::_Any_data const&, int&&)": (
        "std::_Function_handler::_M_invoke"
    ),
    "dnnl::impl::float8_e8m0_t::operator float() const": "dnnl::impl::float8_e8m0_t::operator float",
    "ns::A::operator std::vector<int, std::allocator<int> >()": "ns::A::operator std::vector",
    "icu_69::UMemory::operator new(unsigned long)": "icu_69::UMemory::operator new",
    "operator new[](unsigned long)": "operator new[]",
    "std::map<int, int>::operator[](int&&)": "std::map::operator[]",
    "a::B<&(x::operator<(x::T, x::T))>::f()": "a::B::f",
    "a::B::operator->() const": "a::B::operator->",
    "a::operator<(a::B<1> const&, a::B<2> const&)": "a::operator<",
    "std::string_view[abi:cxx11](char const*)": "std::string_view",
    "non-virtual thunk to tensorflow::A::B(int)": "tensorflow::A::B",
    "tensorflow::A::~A()": "tensorflow::A::~A",
    "tensorflow::A<int>::f(int) [clone .cold]": "tensorflow::A::f",
    "f(int, void (*)(int), unsigned long)::g()": "f::g",
    "std::operatorial::f(int)": "std::operatorial::f",
    "dispatch.part.0": "dispatch",
    "cfunction_call.constprop.0.isra.0": "cfunction_call",
    "_ZN3fooEv": "_ZN3fooEv",
    "": "",
}


@pytest.mark.parametrize(("demangled", "short"), NAMES.items(), ids=NAMES.values())
def test_short_name(demangled: str, short: str) -> None:
    assert short_name(demangled) == short


def test_demangle_names_clones_and_leaves_c_alone() -> None:
    assert demangle("_ZN10tensorflow1A1fEi") == "tensorflow::A::f(int)"
    assert demangle("_ZN10tensorflow1A1fEi.cold") == "tensorflow::A::f(int) [clone .cold]"
    assert demangle("dnnl_primitive_execute") == "dnnl_primitive_execute"
    assert demangle("_Znot a name") == "_Znot a name"
    assert demangle("_Z" + "N" * 100_000) == "_Z" + "N" * 100_000


IDENTIFIER = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("operator", "const", "volatile", "noexcept", "std", "absl")
)
TYPE = st.recursive(
    IDENTIFIER,
    lambda inner: st.one_of(
        st.builds(
            lambda n, a: f"{n}<{', '.join(a)}>".replace(">>", "> >"), IDENTIFIER, st.lists(inner, max_size=3)
        ),
        st.builds("{} const&".format, inner),
        st.builds("{0} ({1}, int)".format, inner, inner),
        st.builds("{0}::{1}".format, inner, IDENTIFIER),
    ),
    max_leaves=6,
)
PART = st.one_of(
    IDENTIFIER, st.sampled_from(["(anonymous namespace)", "{lambda}", "operator()", "operator<", "~A"])
)


@given(
    result=st.none() | TYPE.filter(lambda t: "(" not in t and " " not in t),
    parts=st.lists(PART, min_size=1, max_size=4),
    templates=st.lists(st.none() | TYPE, min_size=4, max_size=4),
    parameters=st.lists(TYPE, max_size=3),
    suffix=st.sampled_from(["", " const", " const &", " &&", " [clone .isra.0]"]),
)
def test_what_is_added_to_a_name_is_taken_off_again(
    result: str | None, parts: list[str], templates: list[str | None], parameters: list[str], suffix: str
) -> None:
    def dressed(part: str, template: str | None) -> str:
        if part == "{lambda}":
            return "{lambda(int, A<B>)#3}"
        return part if template is None or not part.isidentifier() else f"{part}<{template} >"

    plain = "::".join(parts)
    full = "::".join(dressed(p, t) for p, t in zip(parts, templates, strict=False))
    returned = f"{result} " if result and "operator" not in parts[0] else ""
    text = f"{returned}{full}({', '.join(parameters)}){suffix}"
    assert short_name(text) == plain
    assert short_name(plain) == plain


@given(st.text("ab:<>(){}[]$_ ,*&'o-" + "operator", max_size=60))
def test_any_text_gives_some_text(text: str) -> None:
    assert isinstance(short_name(text), str)
