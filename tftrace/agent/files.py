"""Text files of a session: JSON lines in single writes, and whole files replaced at once."""

import json
import os
from typing import Any, Dict


class Lines:
    """A file of JSON lines. Each line is one write, so other threads and a sudden end cannot mix or lose lines."""

    def __init__(self, directory: str, name: str) -> None:
        self.fd = os.open(
            os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self.count = 0

    def add(self, row: Dict[str, Any]) -> None:
        os.write(
            self.fd, (json.dumps(row, default=str, separators=(",", ":")) + "\n").encode("utf-8", "replace")
        )
        self.count += 1

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def replace(directory: str, name: str, text: str) -> None:
    path = os.path.join(directory, name)
    part = "%s.%d.part" % (path, os.getpid())
    with open(part, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    os.replace(part, path)


def replace_json(directory: str, name: str, value: Any) -> None:
    replace(directory, name, json.dumps(value, default=str, indent=1))
