"""The embedded broker: kombu's SQLAlchemy transport, made fit for one SQLite file and quick polls.

It is only a doorbell: a lost message is found again by the sweep (``screening.predictions``), so it
trades durability for speed. kombu's own marks a delivered message, keeps it for ever, and takes the
write lock at every poll; this one deletes what it delivers, and an empty poll writes nothing.
"""

from __future__ import annotations

from json import loads
from queue import Empty
from typing import Any

from kombu.transport import sqlalchemy as kombu_sqlalchemy
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool


class Channel(kombu_sqlalchemy.Channel):
    # What kombu gives and its type stubs leave out.
    connection: Any
    session: Any
    message_cls: Any
    _query_all: Any

    def _engine_from_config(self) -> Engine:
        """An engine whose connections live as long as a transaction: none crosses a fork.

        kombu passes every transport option on to ``create_engine``, which refuses kombu's own
        ``polling_interval``; there is nothing else to pass.
        """
        engine = create_engine(self.connection.client.hostname, poolclass=NullPool)
        event.listen(engine, "connect", _do_not_wait_for_the_disk)
        return engine

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Take the oldest message of ``queue``. Raises Empty, also if another worker was faster."""
        messages = self._query_all(queue).order_by(self.message_cls.id)
        try:
            message = messages.first()
            if message is None:
                raise Empty
            payload = message.payload
            chosen = self._query_all(queue).filter(self.message_cls.id == message.id)
            if not chosen.delete(synchronize_session=False):
                raise Empty
        except OperationalError:
            self.session.rollback()
            raise
        except Empty:
            self.session.commit()
            raise
        self.session.commit()
        return loads(payload)


class Transport(kombu_sqlalchemy.Transport):
    Channel = Channel


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    """A power cut may damage the file; it is made anew at every start."""
    connection.execute("PRAGMA synchronous=OFF")
