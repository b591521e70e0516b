"""The web server in a thread of the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from skincheck_site.serve import Server


def listener() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0), backlog=200)
    listening.setblocking(False)
    return listening


@contextmanager
def running(server: Server) -> Iterator[None]:
    def run() -> None:
        with suppress(OSError):  # its sockets are closed
            server.run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        for channel in list(server.active_channels.values()):
            channel.handle_close()
        server.asyncore.close_all(server._map)
        thread.join(20)
        server.task_dispatcher.shutdown()
        server.uploads.shutdown()
