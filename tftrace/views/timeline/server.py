"""Serves one page and its tiles to this machine alone, until it is told to stop."""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from tftrace.errors import UsageError
from tftrace.model.trace import Trace
from tftrace.views.timeline.compose import composer
from tftrace.views.timeline.document import empty_document
from tftrace.views.timeline.tiles import Tiles

LOOPBACK = "127.0.0.1"
MOST_BYTES = 4_000_000
"""Of one request: the numbers that it names."""

Answer = tuple[bytes, str]


class Server(ThreadingHTTPServer):
    """Answers under a path that holds a random token, and nothing anywhere else. A token keeps out the other users of
    the machine and pages of other sites that the same browser shows."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, trace: Trace, folder: Path, port: int = 0) -> None:
        made = composer(trace)
        self.tiles = None if made is None else Tiles(made, folder)
        self.page = self.tiles.page if self.tiles else empty_document(trace)
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {LOOPBACK}:{port}: {error.strerror}; another --port, or none, lets it choose"
            ) from error

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    def server_close(self) -> None:
        super().server_close()
        if self.tiles:
            self.tiles.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closed its end is no fault; any other error keeps its traceback."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the browser keeps its connections
    server: Server
    timeout = 60
    wbufsize = 1 << 16  # head and body leave together
    disable_nagle_algorithm = True
    _NUMBERS: ClassVar = ("events", "above", "below", "calls", "call", "members", "found")

    def do_GET(self) -> None:
        self._reply(lambda path: (self.server.page, "text/html; charset=utf-8") if path == "" else None)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else MOST_BYTES + 1
        if size > MOST_BYTES:
            self.close_connection = True  # what the body holds is not read
            self._say(413, b"", "text/plain")
            return
        body = self.rfile.read(size)
        self._reply(lambda path: self._answer(path, body))

    def _reply(self, answer_to: Callable[[str], Answer | None]) -> None:
        server = self.server
        # Another site's name that resolves to this machine comes with its own Host.
        known = self.headers.get("Host") == f"{LOOPBACK}:{server.server_port}"
        token, _, rest = self.path.lstrip("/").partition("/")
        if not known or not secrets.compare_digest(token.encode(), server.token.encode()):
            self._say(404, b"", "text/plain")
            return
        try:
            answer = answer_to(rest)
        except ValueError:
            self._say(400, b"", "text/plain")
            return
        if answer is None:
            self._say(404, b"", "text/plain")
        else:
            self._say(200, *answer)

    def _answer(self, path: str, asked: bytes) -> Answer | None:
        tiles = self.server.tiles
        if tiles is None:
            return None
        if path == "chunk":
            body = tiles.chunk(*_integers(asked, 1))
            return None if body is None else (body, "application/octet-stream")
        if path == "totals":
            return tiles.totals(*_integers(asked, 2)), "application/json"
        if path not in self._NUMBERS:
            return None
        ask: Callable[[list[int]], bytes] = getattr(tiles, path)
        return ask(_integers(asked)), "application/json"

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the terminal shows the address, and the token belongs in no log."""


def _integers(asked: bytes, exactly: int | None = None) -> list[int]:
    """The numbers of `1,2,3`. Raises ValueError where they are none, or not as many."""
    numbers = [int(n) for n in asked.split(b",")]
    if exactly is not None and len(numbers) != exactly:
        raise ValueError
    if any(abs(n) >= 1 << 62 for n in numbers):
        raise ValueError
    return numbers


@contextmanager
def serving(trace: Trace, port: int = 0) -> Iterator[Server]:
    """A server of `trace` that answers while the block runs; its files are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tftrace-view-") as folder:
        try:
            server = Server(trace, Path(folder), port)
        except OSError as error:
            raise UsageError(
                f"cannot prepare the events in {folder}: {error.strerror or error}; "
                "TMPDIR names a directory with more room"
            ) from error
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="tftrace view", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def serve_timeline(trace: Trace, port: int, ready: Callable[[str], None]) -> None:
    """Serves `trace` until interrupted (Ctrl-C, or a polite kill); `ready` is told the address.

    Raises UsageError where the port is taken, and InputError as `write_timeline` does.
    """
    import signal

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with serving(trace, port) as server:
            ready(server.url)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
    finally:
        signal.signal(signal.SIGTERM, before)
