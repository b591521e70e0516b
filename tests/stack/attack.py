"""What ``script/attack`` does to a running site: slow bodies, bombs, mutated files.

Bounded, and against loopback only. Each attack answers with what a table needs.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def address(url: str) -> tuple[str, int]:
    """Raises ValueError for any machine but this one."""
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK:
        raise ValueError("Only a site on this machine is attacked.")
    return parts.hostname, parts.port or 80


@dataclass
class Answers:
    """Of requests made one after another: seconds of each, and how many failed."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def p95(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.95)] if self.seconds else float("inf")


def ask(site: tuple[str, int], paths: tuple[str, ...], times: int) -> Answers:
    """What a person's browser meets: each path in turn, 5 seconds of patience for each."""
    answers = Answers()
    for turn in range(times):
        connection = http.client.HTTPConnection(*site, timeout=5)
        begun = time.monotonic()
        try:
            connection.request("GET", paths[turn % len(paths)], headers={"Host": "localhost"})
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                answers.seconds.append(time.monotonic() - begun)
            else:
                answers.failed += 1
        except (OSError, http.client.HTTPException):
            answers.failed += 1
        finally:
            connection.close()
        time.sleep(0.1)
    return answers


@contextmanager
def slow_sockets(
    site: tuple[str, int], number: int, *, path: str = "/accounts/login/", length: int = 60_000
) -> Iterator[list[int]]:
    """So many callers that promise ``length`` bytes and send one a second, each again when it is
    closed. Yields the list of the statuses that they were answered."""
    statuses: list[int] = []
    ended = threading.Event()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()

    def drip() -> None:
        while not ended.is_set():
            with suppress(OSError), socket.create_connection(site, timeout=2) as open_socket:
                open_socket.sendall(head)
                open_socket.settimeout(0.01)
                while not ended.wait(1):
                    open_socket.sendall(b"a")
                    with suppress(TimeoutError):
                        answer = open_socket.recv(4096)
                        if answer.startswith(b"HTTP/1."):
                            statuses.append(int(answer.split()[1]))
                        break
            ended.wait(0.2)

    threads = [threading.Thread(target=drip, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    ended.wait(2)
    try:
        yield statuses
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)


def slow(site: tuple[str, int], number: int, times: int) -> dict[str, Any]:
    paths = ("/health/live", "/accounts/login/")
    idle = ask(site, paths, times)
    with slow_sockets(site, number) as statuses:
        held = ask(site, paths, times)
    return {
        "sockets": number,
        "idle p95": round(idle.p95, 3),
        "p95": round(held.p95, 3),
        "failed": f"{held.failed} of {times}",
        "turned away": len(statuses),
    }
