"""The embedded broker: kombu's SQLAlchemy transport, adapted to one SQLite file and frequent polls.

Messages are only hints: the sweep (``screening.sweeper``) finds the work of a lost message, so this
trades durability for speed. kombu's own transport marks a delivered message, keeps it for ever, and
takes the write lock at every poll; this one deletes what it delivers, and an empty poll writes
nothing. While the file has not changed since a queue was empty, a poll does not even open it, so
that polls may be frequent.

Its file may be removed or damaged at runtime. The first process to notice recreates it. If that
fails, a worker exits so that its supervisor restarts it, and senders continue without a message.
While another process has locked the file, a poll finds nothing, and sending fails within a second.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable
from json import loads
from pathlib import Path
from queue import Empty
from typing import Any, TypeVar

from kombu.transport import sqlalchemy as kombu_sqlalchemy
from kombu.transport.sqlalchemy.models import metadata
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

logger = logging.getLogger(__name__)

LOCKED_SECONDS = 1.0
"""How long a page waits for a database that another process has locked."""

SETTLED_SECONDS = 0.05
"""A file last changed longer ago than this would show another change by another time: the file
system's clock ticks every few milliseconds.
"""

MENDED_TIMES = 3
"""How often the file is recreated for one operation: it may be damaged again meanwhile."""

Result = TypeVar("Result")


class Channel(kombu_sqlalchemy.Channel):
    # Attributes of kombu that its type stubs lack.
    connection: Any
    session: Any
    message_cls: Any
    _query_all: Any

    def __init__(self, connection: Any, **options: Any) -> None:
        super().__init__(connection, **options)
        self._file = Path(str(make_url(connection.client.hostname).database))
        self._empty: dict[str, tuple[int, int]] = {}
        """By queue: the state of the file when the queue was empty."""

    def _engine_from_config(self) -> Engine:
        """An engine whose connections last for one transaction: none survives a fork, and each
        opens the current file.

        kombu passes every transport option on to ``create_engine``, which rejects kombu's own
        ``polling_interval``; there is nothing else to pass.
        """
        engine = create_engine(
            self.connection.client.hostname,
            poolclass=NullPool,
            connect_args={"timeout": LOCKED_SECONDS},
        )
        event.listen(engine, "connect", _do_not_wait_for_the_disk)
        return engine

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        self._mended(lambda: super(Channel, self)._new_queue(queue, **kwargs))

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self._mended(lambda: super(Channel, self)._put(queue, payload, **kwargs))

    def _size(self, queue: str) -> int:
        return int(self._mended(lambda: super(Channel, self)._size(queue)))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Take the oldest message of ``queue``. Raises Empty, also if another worker took it
        first.
        """
        state = self._state()
        if state and self._empty.get(queue) == state:
            raise Empty
        try:
            return self._mended(lambda: self._take(queue))
        except Empty:
            if state:
                self._empty[queue] = state
            raise
        except DatabaseError as error:
            if _is_locked(error):
                raise Empty from None
            raise

    def _state(self) -> tuple[int, int] | None:
        """The file's identity and last change; None if a later change might look the same."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        settled = time.time() - found.st_mtime > SETTLED_SECONDS
        return (found.st_ino, found.st_mtime_ns) if settled else None

    def _take(self, queue: str) -> Any:
        messages = self._query_all(queue).order_by(self.message_cls.id)
        message = messages.first()
        if message is None:
            self.session.commit()
            raise Empty
        payload = message.payload
        chosen = self._query_all(queue).filter(self.message_cls.id == message.id)
        taken = chosen.delete(synchronize_session=False)
        self.session.commit()
        if not taken:
            raise Empty
        return loads(payload)

    def _mended(self, act: Callable[[], Result]) -> Result:
        """The result of ``act``; retried with a new file if the old one is unusable."""
        for _ in range(MENDED_TIMES):
            try:
                return act()
            except DatabaseError as error:
                self.session.rollback()
                if _is_locked(error):
                    raise
                logger.warning("the broker's file is recreated: %s", error.orig)
            _make_anew(self.session.get_bind())
        try:
            return act()
        except DatabaseError:
            self.session.rollback()
            raise


class Transport(kombu_sqlalchemy.Transport):
    Channel = Channel
    # Celery would continue with such a channel for ever, in silence; a worker has to exit instead.
    connection_errors = ()
    channel_errors = ()


def _make_anew(engine: Engine) -> None:
    """Create missing tables, in a new file if the old one is unusable.

    One process at a time: later ones find the new file sound, and leave it alone.
    """
    file = str(engine.url.database)
    with Path(f"{file}.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        try:
            _make_tables(engine)
        except DatabaseError as error:
            if _is_locked(error):
                raise
            if _is_damaged(error):
                for end in ("", "-journal", "-wal", "-shm"):
                    Path(file + end).unlink(missing_ok=True)
            _make_tables(engine)


def _make_tables(engine: Engine) -> None:
    metadata.create_all(engine)
    with engine.connect() as connection:
        found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
    if found != "ok":
        raise DatabaseError("PRAGMA quick_check", None, Exception("malformed"))


def _is_damaged(error: DatabaseError) -> bool:
    return "malformed" in str(error.orig) or "not a database" in str(error.orig)


def _is_locked(error: DatabaseError) -> bool:
    return "locked" in str(error.orig)


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    """A power cut may damage the file; it is recreated at every start."""
    connection.execute("PRAGMA synchronous=OFF")
