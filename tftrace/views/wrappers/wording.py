"""How the categories of wrappers are explained, in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MEANING: Final = {
    "alias": "the very object of another public name",
    "no_op": "called, ran no op",
    "thin": "the same op calls as one call of a native function",
    "thick": "the ops of native functions, with more around them",
    "unique": "no native function or short composition of them does the same",
    "not_traced": "could not be called",
}


def made_with(document: Mapping[str, Any]) -> str:
    """Versions, and how many native functions there were to compare with."""
    parts = [f"TensorFlow {document['tensorflow']}"]
    if document["keras"]:
        parts.append(f"Keras {document['keras']}")
    parts.append(f"Python {document['python']}")
    natives = document["natives"]
    if natives["of"]:
        parts.append(f"{natives['called']:,} of {natives['of']:,} native functions known by their op calls")
    return ", ".join(parts)
