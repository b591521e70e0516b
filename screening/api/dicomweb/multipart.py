"""``multipart/related`` (RFC 2387), as PS3.18, 8.6 has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import uuid4

from django.http import StreamingHttpResponse

NO_STORE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def answer(media_type: str, parts: Iterable[tuple[str, bytes]]) -> StreamingHttpResponse:
    """parts: the Content-Type and the content of each."""
    boundary = uuid4().hex
    return StreamingHttpResponse(
        _body(boundary, parts),
        content_type=f'multipart/related; type="{media_type}"; boundary={boundary}',
        headers=NO_STORE,
    )


def _body(boundary: str, parts: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    for content_type, content in parts:
        yield f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
        yield content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
