"""A HEAD is answered with headers alone, by the server itself. Django's test client drops a body:
no other test would see one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from skincheck_site import serve
from tests.serving import listener, running

BODY = b"what a GET answers"
LENGTH = [("Content-Length", str(len(BODY)))]


def _whole(environ: dict[str, Any]) -> Iterable[bytes]:
    return [BODY]


def _streamed(environ: dict[str, Any]) -> Iterable[bytes]:
    return (bytes([byte]) for byte in BODY)


def _file(environ: dict[str, Any]) -> Iterable[bytes]:
    return environ["wsgi.file_wrapper"](BytesIO(BODY))


KINDS: dict[str, tuple[Callable[[dict[str, Any]], Iterable[bytes]], list[tuple[str, str]]]] = {
    "/whole": (_whole, LENGTH),
    "/without-length": (_whole, []),
    "/streamed": (_streamed, LENGTH),
    "/chunked": (_streamed, []),
    "/file": (_file, LENGTH),
}


def _application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body, headers = KINDS[environ["PATH_INFO"]]
    start_response("200 OK", headers)
    return body(environ)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(serve, "_parent", os.getppid())
    listening = listener()
    with running(serve.server(_application, listening, lambda *_: True)):
        yield listening.getsockname()


def _answer(address: tuple[str, int], requests: str) -> bytes:
    with socket.create_connection(address, timeout=10) as caller:
        caller.sendall(requests.encode())
        caller.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: caller.recv(65_536), b""))


@pytest.mark.parametrize("path", KINDS)
def test_a_head_has_no_body(address: tuple[str, int], path: str) -> None:
    head = _answer(address, f"HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1
    got = _answer(address, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (b"Content-Length: 18" in head) == (b"Content-Length: 18" in got)


def test_the_next_response_on_the_connection_is_the_next_ones(address: tuple[str, int]) -> None:
    """Otherwise a proxy would give the body of a HEAD to whoever asks next."""
    both = "HEAD /whole HTTP/1.1\r\nHost: a\r\n\r\nGET /file HTTP/1.1\r\nHost: a\r\n\r\n"
    first, second, body = _answer(address, both).split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ") and second.startswith(b"HTTP/1.1 200 ")
    assert body == BODY


def test_a_refused_head_has_no_body_either(address: tuple[str, int]) -> None:
    refused = "HEAD /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n"
    assert _answer(address, refused).startswith(b"HTTP/1.1 413 ")
    assert _answer(address, refused).endswith(b"\r\n\r\n")


def test_the_file_of_a_head_is_closed(address: tuple[str, int], tmp_path: Path) -> None:
    files: list[Any] = []

    def opened(environ: dict[str, Any]) -> Iterable[bytes]:
        path = tmp_path / "file"
        path.write_bytes(BODY)
        files.append(path.open("rb"))
        return environ["wsgi.file_wrapper"](files[0])

    KINDS["/opened"] = (opened, LENGTH)
    try:
        _answer(address, "HEAD /opened HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    finally:
        del KINDS["/opened"]
    assert files[0].closed
