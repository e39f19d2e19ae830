"""The documentation is true: its blocks are what commands print, and its commands and links exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tftrace.cli.registry import COMMANDS, Commands

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import generate  # noqa: E402

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("traces/*.md")])
MENTION = re.compile(r"\btftrace (?P<command>[a-z]+)\b(?P<rest>[^`|\n]*)")
OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")


def text(page: Path) -> str:
    return page.read_text()


def blocks(kind: str) -> list[generate.Block]:
    found = [b for page in generate.PAGES for b in generate.blocks(page, text(ROOT / page))]
    return [b for b in found if b.kind == kind]


def options_of(command: str) -> set[str]:
    group = Commands("tftrace")
    found = group.get_command(click.Context(group), command)
    assert found is not None
    spellings = {o for p in found.params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)}
    return spellings | {"--help"}


@pytest.mark.parametrize("block", blocks("output"), ids=lambda b: b.command)
def test_a_block_is_what_its_command_prints(block: generate.Block) -> None:
    assert block.body == generate.fenced(generate.output_of(block.command)), "run 'python docs/generate.py'"


def test_the_main_commands_are_shown_with_their_output() -> None:
    shown = {b.command.split()[1] for b in blocks("output") if b.page == "README.md"}
    assert {"why", "summary", "algorithms"} <= shown


def test_the_commands_page_has_every_command_and_no_other() -> None:
    page = [b.command for b in blocks("output") if b.page == "docs/commands.md"]
    assert page == ["tftrace --help", *(f"tftrace {name} --help" for name in COMMANDS)]


def test_measured_blocks_are_filled_and_their_scripts_exist() -> None:
    measured = [b for b in blocks("measured") if b.command.startswith("python ")]
    assert measured
    scripts = {Path(b.command.split()[1]).stem for b in measured}
    assert scripts == {"overhead", "memory", "build", "startup", "cudnn_probe", "graph_probe", "timeline"}
    for block in measured:
        assert (ROOT / block.command.split()[1]).is_file()
        assert re.search(r"\d{4}-\d\d-\d\d; \d+ CPUs", block.body), f"{block.command}: no date and machine"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_in_code_exist(page: Path) -> None:
    prose = re.sub(r"```text\n.*?```", "", text(page), flags=re.S)
    for mention in MENTION.finditer("\n".join(_code(prose))):
        command = mention["command"]
        assert command in COMMANDS, f"{page.name}: tftrace {command}"
        if command == "run":  # what follows the script is the script's
            continue
        unknown = set(OPTION.findall(mention["rest"].partition("&&")[0])) - options_of(command)
        assert not unknown, f"{page.name}: tftrace {command} has no {unknown}"


def _code(prose: str) -> list[str]:
    fenced = re.findall(r"```(?:sh|python)\n(.*?)```", prose, re.S)
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", prose, flags=re.S))
    return [*fenced, *inline]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page)):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_first_command_installs_records_and_ends_in_summary_and_timeline() -> None:
    command = _command_below("start")
    steps = [step.strip() for step in command.split("&&")]
    assert "python -m pip install '.[tf]'" in steps
    names = [step.split()[1] for step in steps if step.startswith("tftrace ")]
    assert names[0] == "run"
    assert {"summary", "view"} <= set(names)
    script = next(word for word in command.split() if word.endswith(".py"))
    assert (ROOT / script).is_file()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert _command_below("tests") == "python -m pip install '.[tf,dev]' && python -m pytest"
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    extract = next(line for line in lines if line.startswith("tests=$("))
    script = f'{extract}\nprintf "%s" "$tests"'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == _command_below("tests")


def _command_below(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```sh\n(.*?)\n```", text(ROOT / "README.md"), re.S)
    assert found, f"README.md: nothing below <!-- {marker} -->"
    return found[1]


def test_every_variable_that_is_set_is_documented() -> None:
    from tftrace.agent import contract
    from tftrace.agent.probes import itt

    readme = text(ROOT / "README.md")
    for name in (contract.ENV_RAW, contract.ENV_OPTIONS, "PYTHONPATH", *itt.VARIABLES):
        assert f"`{name}`" in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:work|root|tmp|opt)/\S*", text(page))
