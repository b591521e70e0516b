"""The embedded broker: in order, once each, nothing left behind, and safe to share."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection
from sqlalchemy.exc import OperationalError

from skincheck_site import broker
from skincheck_site.broker import SETTLED_SECONDS, Channel

TRANSPORT = "skincheck_site.broker:Transport"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'broker.sqlite3'}"


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with Connection(url, transport=TRANSPORT, transport_options={"polling_interval": 0.1}) as it:
        yield it


def _take(queue: Any) -> object:
    message = queue.get_nowait()
    message.ack()
    return message.payload


def test_it_delivers_in_order_and_keeps_nothing(connection: Connection, tmp_path: Path) -> None:
    queue = connection.SimpleQueue("interactive")
    for n in range(5):
        queue.put({"n": n})

    assert [_take(queue) for _ in range(5)] == [{"n": n} for n in range(5)]
    with pytest.raises(Empty):
        queue.get_nowait()
    with sqlite3.connect(tmp_path / "broker.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM kombu_message").fetchone() == (0,)
    database.close()


def test_it_keeps_queues_apart(connection: Connection) -> None:
    bulk, interactive = connection.SimpleQueue("bulk"), connection.SimpleQueue("interactive")
    bulk.put("later")

    with pytest.raises(Empty):
        interactive.get_nowait()
    assert _take(bulk) == "later"


def test_a_poll_does_not_open_an_unchanged_file_that_was_empty(
    connection: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = connection.SimpleQueue("interactive")
    opened: list[str] = []
    take = Channel._take

    def watched(self: Channel, name: str) -> object:
        opened.append(name)
        return take(self, name)

    monkeypatch.setattr(Channel, "_take", watched)
    time.sleep(2 * SETTLED_SECONDS)
    for _ in range(3):
        with pytest.raises(Empty):
            queue.get_nowait()
    assert opened == ["interactive"]

    with Connection(url, transport=TRANSPORT) as other:
        other.SimpleQueue("interactive").put("new")
    assert _take(queue) == "new"


def test_a_change_within_one_tick_of_the_file_systems_clock_is_seen(
    connection: Connection, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "SETTLED_SECONDS", 60)
    queue = connection.SimpleQueue("interactive")
    with pytest.raises(Empty):
        queue.get_nowait()
    file = tmp_path / "broker.sqlite3"
    before = file.stat()

    with Connection(url, transport=TRANSPORT) as other:
        other.SimpleQueue("interactive").put("new")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert _take(queue) == "new"


def test_two_consumers_never_get_the_same_message(connection: Connection, url: str) -> None:
    queue = connection.SimpleQueue("interactive")
    for n in range(60):
        queue.put(n)

    def take_all(_: int) -> list[object]:
        taken: list[object] = []
        with Connection(url, transport=TRANSPORT) as own:
            mine = own.SimpleQueue("interactive")
            try:
                while True:
                    taken.append(_take(mine))
            except Empty:
                return taken

    with ThreadPoolExecutor(3) as consumers:
        taken = [n for share in consumers.map(take_all, range(3)) for n in share]
    # A consumer that lost the race for a message gets nothing: the rest is still there.
    taken += take_all(0)
    assert sorted(taken) == list(range(60))


def test_an_empty_poll_needs_no_write_lock(connection: Connection, tmp_path: Path) -> None:
    queue = connection.SimpleQueue("interactive")
    queue.put("first")
    assert _take(queue) == "first"

    other = sqlite3.connect(tmp_path / "broker.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Empty):
            queue.get_nowait()
    finally:
        other.rollback()
        other.close()


def _remove(file: Path) -> None:
    file.unlink()


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _overwrite(file: Path) -> None:
    file.write_bytes(b"no database at all, but as long as one" * 500)


def _damage(file: Path) -> None:
    """The first page stays; the tables' contents are lost."""
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


@pytest.mark.parametrize("spoil", [_remove, _empty, _overwrite, _damage])
def test_a_file_that_is_gone_or_damaged_is_made_anew_by_whoever_notices(
    spoil: Any, connection: Connection, url: str, tmp_path: Path
) -> None:
    queue = connection.SimpleQueue("interactive")
    queue.put("lost")
    with Connection(url, transport=TRANSPORT) as another:
        other = another.SimpleQueue("interactive")

        spoil(tmp_path / "broker.sqlite3")
        with pytest.raises(Empty):  # the one that listens
            queue.get_nowait()
        other.put("heard")
        assert _take(queue) == "heard"

        spoil(tmp_path / "broker.sqlite3")
        queue.put("rung")  # the one that rings
        assert _take(other) == "rung"


@pytest.mark.parametrize("spoil", [_remove, _overwrite, _damage])
def test_several_that_notice_at_once_do_not_undo_one_anothers_work(
    spoil: Any, connection: Connection, url: str, tmp_path: Path
) -> None:
    connection.SimpleQueue("interactive").put("lost")
    spoil(tmp_path / "broker.sqlite3")

    def ring(number: int) -> None:
        with Connection(url, transport=TRANSPORT) as own:
            own.SimpleQueue("interactive").put(number)

    with ThreadPoolExecutor(4) as ringers:
        list(ringers.map(ring, range(20)))
    queue = connection.SimpleQueue("interactive")
    taken = []
    with suppress(Empty):
        while True:
            taken.append(_take(queue))
    # One may ring twice, if its file failed after it was stored: each row is claimed once.
    assert set(taken) == set(range(20))
    assert max(Counter(taken).values()) <= 2


def test_a_locked_file_is_a_poll_without_a_find_and_a_bell_that_fails_soon(
    connection: Connection, tmp_path: Path
) -> None:
    queue = connection.SimpleQueue("interactive")
    queue.put("waits")
    other = sqlite3.connect(tmp_path / "broker.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(Empty):
            queue.get_nowait()
        started = time.monotonic()
        with pytest.raises(OperationalError):
            queue.put("too late")
        assert time.monotonic() - started < 3
    finally:
        other.rollback()
        other.close()
    assert _take(queue) == "waits"


def test_where_no_file_can_be_made_the_channel_fails(url: str, tmp_path: Path) -> None:
    (tmp_path / "broker.sqlite3").mkdir()
    with (
        Connection(url, transport=TRANSPORT) as connection,
        pytest.raises(OperationalError),
    ):
        connection.SimpleQueue("interactive").get_nowait()
