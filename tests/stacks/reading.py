"""What the tests read out of chains and scripts."""

from __future__ import annotations

from pathlib import Path

from tftrace.analysis.chain_parts import Entry, Group


def line_of(script: Path, mark: str) -> int:
    """Number of the line that ends in the comment `# mark`."""
    (line,) = (
        number for number, text in enumerate(script.read_text().splitlines(), 1) if text.endswith(f"# {mark}")
    )
    return line


def chain_of(group: Group) -> dict[str, Entry]:
    return {entry.layer: entry for entry in group.chain}
