"""What the server itself refuses, in the form that each address has for errors."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from skincheck_site import serve
from tests.serving import listener, running

LENGTHS = ["200000001", "5000000000", "9" * 30]
TOO_LARGE = [f"Content-Length: {length}" for length in LENGTHS]
UNREADABLE = ["Content-Length: many", "Transfer-Encoding: gzip", "X: " + "a" * 70_000]


def _never(environ: dict[str, Any], start_response: Any) -> Any:
    raise AssertionError


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(serve, "_parent", os.getppid())
    listening = listener()
    with running(serve.server(_never, listening, lambda *_: True)):
        yield listening.getsockname()


def _answer(address: tuple[str, int], path: str, header: str) -> tuple[int, str, dict[str, Any]]:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\n{header}\r\n\r\n"
    with socket.create_connection(address, timeout=10) as caller:
        caller.sendall(head.encode())
        caller.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: caller.recv(65_536), b"")).decode()
    headers, _, body = answer.partition("\r\n\r\n")
    kind = next(line for line in headers.split("\r\n") if line.startswith("Content-Type: "))
    return int(answer.split()[1]), kind.removeprefix("Content-Type: "), json.loads(body)


@pytest.mark.parametrize("header", [*TOO_LARGE, *UNREADABLE], ids=lambda header: header[:30])
def test_a_refusal_of_the_api_is_a_problem(address: tuple[str, int], header: str) -> None:
    status, kind, body = _answer(address, "/api/v1/patients/", header)
    assert (kind, body["status"]) == ("application/problem+json", status)
    assert body["title"] and body["detail"]


@pytest.mark.parametrize("header", TOO_LARGE, ids=lambda header: header[:30])
def test_what_is_too_large_is_told_the_limit(address: tuple[str, int], header: str) -> None:
    status, _, body = _answer(address, "/api/v1/patients/", header)
    assert (status, body["detail"]) == (413, f"At most {serve.MOST:,} bytes are taken here.")


@pytest.mark.parametrize("header", [*TOO_LARGE, *UNREADABLE[:2]], ids=lambda header: header[:30])
def test_a_refusal_of_fhir_is_an_outcome(address: tuple[str, int], header: str) -> None:
    _, kind, body = _answer(address, "/fhir/R4/Patient/_search", header)
    assert (kind, body["resourceType"]) == ("application/fhir+json", "OperationOutcome")
    assert body["issue"][0]["diagnostics"]


def test_a_refusal_of_fhir_has_a_code(address: tuple[str, int]) -> None:
    _, _, body = _answer(address, "/fhir/R4/Patient/_search", TOO_LARGE[1])
    assert body["issue"][0]["code"] == "too-long"
