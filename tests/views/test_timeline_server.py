"""`view --serve`: every event, for this machine alone, until it is stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.views import traces
from tests.views.test_timeline_page import at, in_view, ready_page
from tftrace.errors import UsageError
from tftrace.model.trace import Trace
from tftrace.store.directory import write_manifest, write_tables
from tftrace.views.timeline.server import Server, serving


@pytest.fixture(scope="module")
def many() -> Trace:
    return traces.many(150_000)


@pytest.fixture(scope="module")
def served(many: Trace) -> Iterator[Server]:
    with serving(many) as server:
        yield server


def ask(
    server: Server, path: str, body: str | None = None, *, host: str | None = None, size: str | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    headers = {**({"Host": host} if host else {}), **({"Content-Length": size} if size else {})}
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def rows(server: Server, what: str, *numbers: int) -> list[list[int]]:
    status, body = ask(server, f"/{server.token}/{what}", ",".join(map(str, numbers)))
    assert status == 200
    answer: list[list[int]] = json.loads(body)
    return answer


def test_nothing_is_answered_without_the_token(served: Server) -> None:
    assert ask(served, f"/{served.token}/")[0] == 200
    for path in ("/", "/chunk", f"/{served.token[:-1]}/", f"/{'x' * len(served.token)}/chunk", "//", "/%00/"):
        assert ask(served, path) == (404, b"")
        assert ask(served, path, "0") == (404, b"")


def test_a_foreign_name_for_this_machine_is_refused(served: Server) -> None:
    for host in ("evil.example", f"localhost:{served.server_port}", "127.0.0.1"):
        assert ask(served, f"/{served.token}/", host=host) == (404, b"")


def test_it_listens_on_the_loopback_alone(served: Server) -> None:
    assert served.socket.getsockname()[0] == "127.0.0.1"
    with socket.socket() as other:
        other.settimeout(2)
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            other.connect(("127.0.0.2", served.server_port))


@pytest.mark.parametrize("what", ["chunk", "events", "totals", "found", "members"])
@pytest.mark.parametrize("body", ["", "x", "1;drop table x", "1,2,3,", "9" * 40, "\x00"])
def test_what_is_no_list_of_numbers_is_refused(served: Server, what: str, body: str) -> None:
    assert ask(served, f"/{served.token}/{what}", body) == (400, b"")


def test_unknown_questions_and_chunks_are_not_found(served: Server) -> None:
    assert ask(served, f"/{served.token}/close", "1") == (404, b"")
    assert ask(served, f"/{served.token}/_query", "1") == (404, b"")
    assert ask(served, f"/{served.token}/chunk", "1000000") == (404, b"")
    assert ask(served, f"/{served.token}/chunk", "-1") == (404, b"")
    assert ask(served, f"/{served.token}/chunk", "1", size="99999999999")[0] == 413


def test_every_event_is_served_as_the_table_holds_it(served: Server, many: Trace) -> None:
    ranks = [0, 1, 77_777, 149_999]
    found = {rank: (start, dur) for rank, _, start, dur, _ in rows(served, "events", *ranks)}
    start, dur = (many.tables["events"][c].to_numpy() for c in ("start_ns", "dur_ns"))
    assert found == {r: (int(start[r] - start[0]), int(dur[r])) for r in ranks}


def test_totals_cut_the_events_to_the_stretch_and_count_all_of_them(served: Server, many: Trace) -> None:
    start, dur = (many.tables["events"][c].to_numpy() for c in ("start_ns", "dur_ns"))
    start = start - start[0]
    t0, t1 = int(start[40_000]) + 5, int(start[90_000]) + 3
    answer = np.array(rows(served, "totals", t0, t1))
    inside = (start < t1) & (start + dur > t0)
    assert answer[:, 2].sum() == inside.sum()
    assert answer[:, 3].sum() == (np.minimum(start + dur, t1) - np.maximum(start, t0))[inside].sum()


def test_links_and_calls_are_those_of_the_tables() -> None:
    trace = traces.eager_convs(3)
    with serving(trace) as server:
        rank = {int(e): i for i, e in enumerate(trace.tables["events"]["event_id"].to_pylist())}
        links = trace.tables["links"].to_pylist()
        for link in links:
            parent, child = rank[link["parent_id"]], rank[link["child_id"]]
            assert [parent, child] in [row[:2] for row in rows(server, "above", child)]
            assert [parent, child] in [row[:2] for row in rows(server, "below", parent)]
        assert [c[0] for c in rows(server, "calls", rank[7])] == [1]
        assert sorted(r[0] for r in rows(server, "members", 1)) == list(range(6, 12))


def test_a_taken_port_is_said_in_one_line(served: Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{served.server_port}"):
        Server(traces.Builder().trace(), tmp_path, served.server_port)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly_and_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    trace, temporary = tmp_path / "trace", tmp_path / "tmp"
    trace.mkdir()
    temporary.mkdir()
    made = traces.eager_convs(2)
    write_tables(trace, made.tables)
    write_manifest(trace, made.manifest)
    before = sorted(p.name for p in trace.iterdir())
    command = [sys.executable, "-m", "tftrace", "view", str(trace), "--serve"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job would ignore it
    ) as process:  # fmt: skip
        assert process.stdout
        url = process.stdout.readline().strip()
        port, token = int(url.split(":")[2].split("/")[0]), url.split("/")[3]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)  # kept open while it stops
        connection.request("GET", f"/{token}/")
        assert b"tftrace" in connection.getresponse().read()
        process.send_signal(how)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert list(temporary.iterdir()) == []
    assert sorted(p.name for p in trace.iterdir()) == before
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()


@pytest.mark.browser
def test_the_served_page_shows_every_event(browser: Any, served: Server) -> None:
    with ready_page(browser, served.url) as page:
        assert "150,000 events" in page.page.inner_text("#began")
        assert "served, every event" in page.page.inner_text("#began")
        assert page.page.locator("#notes").is_hidden()
        page.page.evaluate("location.hash = '#t=0.01,0.0101'")
        status = "document.querySelector('#status').textContent"
        page.until(f"/^100 µs in view · \\d+ events drawn one by one$/.test({status})")
        page.page.fill("#search", "conv2d")
        page.page.keyboard.press("Enter")
        page.until("/^[\\d,]+ of [\\d,]+ events$/.test(document.querySelector('#found').textContent)")
        page.until("!document.querySelector('#panel').hidden")
        assert page.page.inner_text("#panel h2") == "Conv2D"
        assert page.complaints() == []


@pytest.mark.browser
def test_a_served_click_opens_the_chain(browser: Any) -> None:
    with serving(traces.eager_convs(3)) as server, ready_page(browser, server.url) as page:
        page.page.mouse.click(*at(page, "gen_op", 0.1))
        page.until("!document.querySelector('#panel').hidden")
        text = page.page.inner_text("#panel")
        assert "tf.nn.conv2d" in text
        assert "train.py:12" in text
        assert "by range id" in text
        assert "inferred" in text
        assert page.complaints() == []


@pytest.mark.browser
def test_hostile_text_is_served_as_text(browser: Any) -> None:
    with serving(traces.hostile()) as server, ready_page(browser, server.url) as page:
        page.page.mouse.click(*at(page, "python", 0.3))
        page.until("!document.querySelector('#panel').hidden")
        assert page.page.evaluate("window.pwned") is None
        assert "</script>" in page.page.inner_text("#panel")
        assert page.complaints() == []


@pytest.mark.browser
def test_a_page_whose_server_stopped_says_so_and_keeps_its_picture(browser: Any, many: Trace) -> None:
    with serving(many) as server:
        page = ready_page(browser, server.url)
        shown = page.__enter__()
    try:
        shown.page.evaluate("location.hash = '#t=0.01,0.0101'")
        shown.until("/it has stopped/.test(document.querySelector('#status').textContent)")
        shown.page.keyboard.press("0")
        shown.settle()
        assert "it has stopped" in shown.page.inner_text("#status")
        assert in_view(shown)
        assert not any("exception" in line for line in shown.complaints())
    finally:
        page.__exit__(None, None, None)
