"""Texts as the native library writes them into a run's own files."""

from __future__ import annotations

from tftrace.agent import contract


def in_blocks(*lines: bytes) -> bytes:
    """Each in whole blocks, zeros behind it."""
    return b"".join(line + bytes(-len(line) % contract.VERBOSE_BLOCK) for line in lines)
