"""The browser in which the pages are opened, one a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.views.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running
