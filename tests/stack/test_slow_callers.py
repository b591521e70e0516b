"""Clients that send a byte a second, or more than their due: they block nobody, and are
disconnected.
"""

from __future__ import annotations

import socket
import time
from contextlib import closing, suppress

import httpx
import pytest

from skincheck_site import serve
from tests.stack.attack import ask, slow_sockets
from tests.stack.conftest import Site

pytestmark = [pytest.mark.stack, pytest.mark.any_database]  # it is about sockets


@pytest.mark.parametrize("path", ["/accounts/login/", "/api/v1/batches/"])
def test_fifty_slow_bodies(site: Site, path: str) -> None:
    address = ("127.0.0.1", site.installation.port)
    with slow_sockets(address, 50, path=path) as statuses:
        answers = ask(address, ("/health/live", "/accounts/login/"), 20)
        assert answers.failures == []
        time.sleep(serve.GRACE_SECONDS)
    assert 408 in statuses


def test_a_head_that_never_ends(site: Site) -> None:
    address = ("127.0.0.1", site.installation.port)
    with closing(socket.create_connection(address, timeout=1)) as slow:
        answer = b""
        for _ in range(serve.HEAD_SECONDS + 5):
            slow.sendall(b"G")
            with suppress(TimeoutError):
                answer = slow.recv(4096)
                break
    assert b" 408 " in answer


@pytest.mark.parametrize("length", [serve.MOST_OF_A_STRANGER + 1, serve.MOST])
def test_a_stranger_is_refused_before_anything_is_stored(site: Site, length: int) -> None:
    head = f"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    assert b" 413 " in _answer(site, head.encode())


def test_a_refusal_reaches_who_sends_on(site: Site) -> None:
    head = b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600000\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", site.installation.port), 5)) as caller:
        caller.sendall(head)
        for _ in range(6):
            time.sleep(0.1)
            caller.sendall(b"a" * 100_000)
        answer = b""
        while part := caller.recv(4096):
            answer += part
    assert b" 413 " in answer
    assert answer.endswith(b"}")


def test_a_refused_caller_cannot_send_on_for_ever(site: Site) -> None:
    head = b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", site.installation.port), 5)) as caller:
        caller.sendall(head)
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() < began + serve.LEAVING_SECONDS + 10:
                caller.sendall(b"a")
                time.sleep(0.2)
        took = time.monotonic() - began
    assert took < serve.LEAVING_SECONDS + 5


def test_nor_where_the_length_is_not_told(site: Site) -> None:
    head = (
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert b" 413 " in _answer(site, head + b"8000\r\n" + b"a" * 0x8000 + b"\r\n", 3)


@pytest.mark.parametrize("path", ["/api/v1/images/", *serve.ARCHIVES])
@pytest.mark.parametrize(
    "invented",
    [
        "Authorization: Bearer x",
        "Authorization: Bearer sk_x",
        "Authorization: Basic eDp4",
        f"Cookie: sessionid={'a' * 32}",
        'Cookie: sessionid="aaaaaaaa\\000"',
    ],
)
def test_invented_credentials_open_no_more(site: Site, invented: str, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{invented}\r\n"
    told = f"{head}Content-Length: {serve.MOST}\r\n\r\n".encode()
    assert b" 401 " in _answer(site, told + b"a" * 8000)
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    assert b" 401 " in _answer(site, chunked + b"8000\r\n" + b"a" * 0x8000 + b"\r\n", 4)
    assert list((site.installation.folder / "uploads").iterdir()) == []


def test_a_person_sends_more_in_chunks(site: Site) -> None:
    label = b'{"label": "' + b"a" * 200_000 + b'"}'
    for body in (label, iter([label[:60_000], label[60_000:]])):
        answer = httpx.post(
            f"{site.url}/api/v1/patients/",
            content=body,
            headers={"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"},
        )
        assert answer.json()["errors"][0]["pointer"] == "/label"


@pytest.mark.parametrize(
    "body",
    [b"1\r\na\r\n" * 20_000, b"1;" + b"a" * 20_000, b"0\r\n" + b"a: b\r\n" * 4_000],
    ids=["tiny chunks", "a line without end", "a trailer without end"],
)
def test_a_chunked_body_is_mostly_content(site: Site, body: bytes) -> None:
    head = (
        "POST /api/v1/patients/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: Bearer {site.key}\r\n\r\n"
    ).encode()
    assert b" 400 " in _answer(site, head + body)


def test_a_head_has_an_end(site: Site) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 20_000
    assert b" 431 " in _answer(site, head)


def test_so_many_large_bodies_arrive_at_once(site: Site) -> None:
    """Clients with a key or session may send more: a few at a time in each process."""
    address = ("127.0.0.1", site.installation.port)
    head = (
        f"POST /api/v1/images/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.key}\r\n"
        f"Content-Length: {serve.MOST}\r\n\r\n"
    ).encode()
    most = serve.PROCESSES * serve.LARGE_AT_ONCE
    sockets = [socket.create_connection(address, timeout=5) for _ in range(most + 1)]
    for arriving in sockets:
        arriving.sendall(head)
    answers = []
    for arriving in sockets:
        arriving.settimeout(0.2)
        with closing(arriving):
            try:
                answers.append(arriving.recv(4096))
            except TimeoutError:
                continue
    assert answers
    assert all(b" 503 " in answer and b"Retry-After" in answer for answer in answers)


def _answer(site: Site, data: bytes, times: int = 1) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", site.installation.port), 5)) as caller:
        with suppress(OSError):  # answered and closed
            caller.sendall(data)
            for _ in range(times - 1):
                caller.sendall(data[data.rindex(b"8000\r\n") :])
        return caller.recv(4096)
