"""A storage that supports enough of S3 for pictures: put, get, head and delete, in memory. It can
become unavailable or lose its bucket, and come back with its data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from tests.stack.installation import free_port


class Storage:
    def __init__(self) -> None:
        self.port = free_port()
        self.objects: dict[str, bytes] = {}
        self.has_bucket = True

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SECRET_KEY": "of a test only, and of no use elsewhere: 0123456789",
            "AWS_STORAGE_BUCKET_NAME": "skincheck",
            "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_S3_REGION_NAME": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }

    @contextmanager
    def there(self) -> Iterator[None]:
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


def _handler(storage: Storage) -> type[BaseHTTPRequestHandler]:
    objects = storage.objects

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            objects[self._key()] = self._body()
            self._answer(200)

        def do_GET(self) -> None:
            is_bucket = self._key().strip("/").count("/") == 0
            found = b"" if is_bucket else objects.get(self._key())
            if not storage.has_bucket:
                found = None
            wanted = self.headers.get("Range")
            if found is None or wanted is None:
                self._answer(404 if found is None else 200, found or b"")
                return
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
            self._answer(206, found[first : last + 1])

        do_HEAD = do_GET

        def do_DELETE(self) -> None:
            if storage.has_bucket:
                objects.pop(self._key(), None)
            self._answer(204 if storage.has_bucket else 404)

        def log_message(self, *_: object) -> None:
            pass

        def _key(self) -> str:
            return urlsplit(self.path).path

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Content-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = b""  # chunks, each preceded by its length and a signature
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return data

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("ETag", '"1"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler
