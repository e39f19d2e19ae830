"""The JSON Schemas that every document of tftrace has to fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

HERE = Path(__file__).resolve().parents[1] / "contracts"


def check(document: Any, contract: str) -> None:
    """Raises where `document`, as JSON, does not fit the schema of that name."""
    schema = json.loads((HERE / f"{contract}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(document, allow_nan=False)), schema)
