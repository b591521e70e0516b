"""Callers take turns, and the one that sends the most is refused first."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from django.urls import reverse
from waitress.adjustments import Adjustments

from ml.opening.limits import MAX_BYTES
from skincheck_site import serve
from skincheck_site.turns import Caller, Turns, with_the_most
from tests.serving import listener, running

LONG = 100
SLOW = (f"/patients/{uuid4()}/report/", f"/images/{uuid4()}/dicom/")


@dataclass(frozen=True)
class Sent:
    address: str
    credential: str
    number: int

    @property
    def caller(self) -> Caller:
        return Caller(self.address, self.credential)


def test_addresses_take_turns_and_then_their_sessions() -> None:
    turns: Turns[Sent] = Turns(at_once=LONG)
    for sent in (
        *(Sent("1", "a", number) for number in range(3)),
        Sent("1", "b", 0),
        *(Sent("2", "c", number) for number in range(2)),
    ):
        turns.append(sent)
    came = [turns.popleft() for _ in range(len(turns))]
    assert [(sent.credential, sent.number) for sent in came] == [
        ("a", 0),
        ("c", 0),
        ("b", 0),
        ("c", 1),
        ("a", 1),
        ("a", 2),
    ]
    assert not turns


def test_many_accounts_of_one_address_delay_another_by_two_at_the_most() -> None:
    turns: Turns[Sent] = Turns(at_once=1)
    for account in range(20):
        turns.append(Sent("1", f"account {account}", 0))
    for _ in range(3):  # all threads are theirs
        turns.popleft()
    turns.append(Sent("2", "newcomer", 0))
    assert "newcomer" in {turns.popleft().credential for _ in range(2)}


def test_the_last_of_the_caller_with_the_most_is_the_surplus() -> None:
    turns: Turns[Sent] = Turns(at_once=LONG)
    for number in range(3):
        turns.append(Sent("1", "a", number))
    turns.append(Sent("1", "b", 0))
    for number in range(3):
        turns.append(Sent("2", "c", number))
    assert turns.pop_surplus() == Sent("1", "a", 2)
    assert turns.pop_surplus() == Sent("2", "c", 2)
    assert len(turns) == 5


def test_invented_credentials_do_not_help() -> None:
    own, theirs = Caller("1", "a"), [Caller("2", str(number)) for number in range(3)]
    assert with_the_most([own, own, *theirs]) == theirs[-1]


def test_one_caller_is_not_handled_more_often_at_the_same_time() -> None:
    turns: Turns[Sent] = Turns(at_once=2)
    for number in range(3):
        turns.append(Sent("1", "a", number))
    assert [turns.popleft().number for _ in range(2)] == [0, 1]
    assert (len(turns), bool(turns)) == (1, False)
    turns.append(Sent("1", "b", 0))  # from the same address
    assert turns.popleft().credential == "b"
    turns.finished(Caller("1", "b"))
    with pytest.raises(IndexError):
        turns.popleft()
    turns.finished(Caller("1", "a"))
    assert turns.popleft().number == 2


def test_what_waits_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: Turns[Sent] = Turns(at_once=LONG)
    turns.append(Sent("1", "a", 0))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 10)
    turns.append(Sent("1", "a", 1))
    assert turns.pop_older(5) == [Sent("1", "a", 0)]
    assert turns.pop_older(5) == []
    assert len(turns) == 1


@dataclass
class Site:
    """A web process in a thread, whose pages wait until they may be answered."""

    listening: socket.socket
    answers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    handled: list[str] = field(default_factory=list)
    open_sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = serve.server(self.answer, self.listening, lambda *_: True)

    def answer(self, environ, start_response) -> Iterable[bytes]:
        self.handled.append(environ["HTTP_AUTHORIZATION"])
        if environ["PATH_INFO"] == "/long":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return (b"a" * 1_000_000 for _ in range(LONG))
        self.answers.acquire(timeout=30)
        start_response("202 Accepted", [("Content-Length", "0")])
        return []

    def go(self, most: int = 10_000) -> None:
        """Let ``most`` of the waiting pages be answered."""
        self.answers.release(most)

    def send(
        self, key: str, *, path: str = "/api/v1/images/", forwarded: str = "", length: int = 0
    ) -> socket.socket:
        caller = socket.create_connection(self.listening.getsockname(), timeout=10)
        self.open_sockets.append(caller)
        caller.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n"
            f"X-Forwarded-For: {forwarded}\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        return caller


def status(caller: socket.socket) -> int:
    answer = caller.recv(4096)
    assert b" 503 " not in answer or b"Retry-After" in answer
    return int(answer.split()[1])


def answered(callers: list[socket.socket]) -> list[socket.socket]:
    there = []
    for caller in callers:
        caller.setblocking(False)
        with suppress(BlockingIOError):
            if caller.recv(1, socket.MSG_PEEK):
                there.append(caller)
        caller.settimeout(10)
    return there


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(serve, "_parent", os.getppid())
    made = Site(listener())
    with running(made.server):
        yield made
        made.go()
        for caller in made.open_sockets:
            caller.close()


def test_a_flood_of_uploads_delays_only_who_sends_it(site: Site) -> None:
    taken, more = serve.UPLOADS_OF_ONE + serve.MOST_WAITING, 20
    flood = [site.send("Bearer attacker") for _ in range(taken + more)]
    wait_for(lambda: len(answered(flood)) == more)
    refused = answered(flood)
    assert {status(caller) for caller in refused} == {503}
    assert site.handled == ["Bearer attacker"] * serve.UPLOADS_OF_ONE

    site.send("Bearer person")  # another thread is free
    wait_for(lambda: "Bearer person" in site.handled)
    site.go()
    told = Counter(status(caller) for caller in flood if caller not in refused)
    assert told[503] <= 1  # it gave way before the free thread had taken the person's
    assert Counter(site.handled) == {"Bearer person": 1, "Bearer attacker": told[202]}


def test_a_flood_of_many_callers_delays_a_person_by_one_turn(site: Site) -> None:
    taken = serve.UPLOAD_THREADS + serve.MOST_WAITING
    flood = [site.send(f"Bearer {n % serve.UPLOAD_THREADS}") for n in range(taken)]
    wait_for(lambda: len(site.handled) == serve.UPLOAD_THREADS)
    person = site.send("Bearer person")  # takes the place of one of theirs
    wait_for(lambda: len(answered(flood)) == 1)
    assert answered([person]) == []
    site.go(serve.UPLOAD_THREADS + 1)  # each gives way to one that waited
    wait_for(lambda: "Bearer person" in site.handled)
    site.go()
    assert status(person) == 202


def test_pages_take_turns_too(site: Site) -> None:
    path = "/api/v1/lesions/"
    for number in range(serve.THREADS + 20):
        site.send(f"Bearer attacker {number % 2}", path=path)
    wait_for(lambda: len(site.handled) == serve.THREADS)
    person = site.send("Bearer person", path=path)
    wait_for(lambda: len(site.server.task_dispatcher.queue) == 21)
    site.go(serve.THREADS + 2)  # each gives way to one that waited
    wait_for(lambda: "Bearer person" in site.handled)
    site.go()
    assert status(person) == 202


def test_one_caller_leaves_a_thread_for_the_pages_of_others(site: Site) -> None:
    for _ in range(serve.THREADS + 5):
        site.send("Bearer attacker", path="/api/v1/lesions/")
    wait_for(lambda: len(site.handled) == serve.PAGES_OF_ONE)
    site.send("Bearer person", path="/api/v1/lesions/")
    wait_for(lambda: "Bearer person" in site.handled)


def test_reports_leave_threads_for_pages(site: Site) -> None:
    for _ in range(serve.THREADS + serve.UPLOAD_THREADS):
        for path in SLOW:
            site.send(f"Bearer attacker {path}", path=path)
    wait_for(lambda: len(site.handled) == len(SLOW) * serve.UPLOADS_OF_ONE)
    site.send("Bearer person", path="/api/v1/lesions/")
    wait_for(lambda: "Bearer person" in site.handled)


def test_what_takes_long_is_known() -> None:
    """Every address that writes a report or a DICOM file: each takes a second or more."""
    files = ("image_dicom", "image_dicom_report", "image_dicom_mask")
    for name in ("lesion_report", "patient_report", *files):
        for address in (name, f"api:{name.replace('_', '-')}"):
            assert serve.WRITTEN.fullmatch(reverse(address, args=[uuid4()])), address
    assert serve.WRITTEN.fullmatch(reverse("share_letter", args=[uuid4()]))
    assert serve.WRITTEN.fullmatch(reverse("shared_report", args=["secret"]))
    assert serve.WRITTEN.fullmatch(reverse("fhir:everything", args=[uuid4()]))


@pytest.mark.parametrize(
    ("prefer", "takes_long"), [("wait=20", True), ("handling=strict", False), ("", False)]
)
def test_a_preference_takes_long_only_if_it_waits(prefer: str, takes_long: bool) -> None:
    request = serve.Request(Adjustments())
    request.received(f"GET /fhir/R4/Patient HTTP/1.1\r\nPrefer: {prefer}\r\n\r\n".encode())
    assert request.takes_long is takes_long


def test_an_upload_is_answered_before_its_sender_gives_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "WAITING_SECONDS", 0)
    callers = [site.send("Bearer a") for _ in range(serve.UPLOADS_OF_ONE + 3)]
    wait_for(lambda: len(answered(callers)) == 3)
    assert {status(caller) for caller in answered(callers)} == {503}
    site.go()


def test_large_bodies_of_one_address_leave_room_for_others(site: Site, settings) -> None:
    settings.TRUSTED_PROXIES = 1
    large = serve.LARGE + 1
    hoard = [
        site.send(f"Bearer {number}", forwarded="1.1.1.1", length=large)
        for number in range(serve.LARGE_AT_ONCE)
    ]
    person = site.send("Bearer person", forwarded="9.9.9.9, 2.2.2.2", length=large)
    wait_for(lambda: len(answered(hoard)) == 1)
    person.sendall(b"a" * large)
    site.go()
    assert status(person) == 202


def test_large_bodies_of_one_caller_take_a_share_of_the_places(site: Site) -> None:
    """A second account at the same address needs no room made for it."""
    large = serve.LARGE + 1
    hoard = [site.send("Bearer hoarder", length=large) for _ in range(serve.LARGE_AT_ONCE)]
    kept = serve.LARGE_OF_ONE
    wait_for(lambda: len(answered(hoard)) == serve.LARGE_AT_ONCE - kept)
    refused = answered(hoard)
    refused[0].sendall(b"a" * MAX_BYTES)  # who sends a whole picture hears of it too
    assert {status(caller) for caller in refused} == {503}
    person = site.send("Bearer person", length=large)
    person.sendall(b"a" * large)
    site.go()
    assert status(person) == 202
    assert answered(hoard) == [], "nobody else gave way"


def test_who_does_not_read_keeps_no_thread(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "GRACE_SECONDS", 0)
    for number in range(serve.THREADS):
        site.send(f"Bearer {number}", path="/long")
    wait_for(lambda: len(site.handled) == serve.THREADS)
    site.go()
    person = site.send("Bearer person", path="/api/v1/lesions/")
    assert status(person) == 202


def test_who_reads_gets_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "GRACE_SECONDS", 0)
    reader, size = site.send("Bearer a", path="/long"), 0
    while size < LONG * 1_000_000:
        part = reader.recv(1 << 20)
        assert part
        size += len(part)
