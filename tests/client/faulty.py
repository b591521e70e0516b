"""A network between a client and a server that breaks at the worst moments."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Network:
    """drop: which requests are interrupted, by their first line, and where: "request" (the server
    gets half of it), "answer" (the server has processed all of it) or "busy" (503). Each once.
    """

    drop: dict[str, str]
    port: int = 0
    seen: list[str] = field(default_factory=list)

    def fault(self, line: str) -> str:
        self.seen.append(line)
        for beginning, where in list(self.drop.items()):
            if line.startswith(beginning):
                del self.drop[beginning]
                return where
        return ""


@contextmanager
def faulty_network(server_port: int, drop: dict[str, str]) -> Iterator[Network]:
    network = Network(drop)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        network.port = listening.getsockname()[1]
        thread = threading.Thread(
            target=_accept, args=(listening, server_port, network), daemon=True
        )
        thread.start()
        yield network
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _accept(listening: socket.socket, server_port: int, network: Network) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, server_port, network), daemon=True).start()


def _serve(client: socket.socket, server_port: int, network: Network) -> None:
    """One request after another on a connection, until it is closed or interrupted."""
    with (
        suppress(OSError),
        client,
        socket.create_connection(("127.0.0.1", server_port)) as server,
    ):
        while request := _message(client):
            line = request.partition(b"\r\n")[0].decode()
            where = network.fault(line)
            if where == "busy":
                client.sendall(b"HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
                continue
            if where == "request":
                server.sendall(request[: len(request) // 2])
                return
            server.sendall(request)
            answer = _message(server)
            if where == "answer":
                client.sendall(answer[:20])
                return
            client.sendall(answer)
            if not _says_its_length(answer):
                return  # the end of the connection ends it


def _says_its_length(message: bytes) -> bool:
    return b"content-length" in message.partition(b"\r\n\r\n")[0].lower()


def _message(source: socket.socket) -> bytes:
    """One complete HTTP message, empty at the end of the connection.

    A response without a Content-Length lasts until its connection ends.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = source.recv(65536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    if data.startswith(b"HTTP/") and not _says_its_length(data):
        while chunk := source.recv(65536):
            data += chunk
        return data
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            length = int(value)
    while len(body) < length:
        body += source.recv(65536)
    return head + b"\r\n\r\n" + body
