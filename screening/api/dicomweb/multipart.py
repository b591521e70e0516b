"""``multipart/related`` (RFC 2387), as defined by PS3.18, 8.6."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import IO, Any
from uuid import uuid4

from django.http import StreamingHttpResponse
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from ml.opening.limits import MAX_BYTES, size_in_words
from screening.api.http.known import TooLarge

DICOM = "application/dicom"
MOST_BYTES = 5 * MAX_BYTES
"""Bytes of a body. Larger ones are rejected earlier: ``skincheck_site.serve``."""
MOST_PARTS = 100
INSTANCES = "instances"
"""The key of the parsers' result."""
_BOUNDARY = re.compile(r"""[0-9A-Za-z'()+_,./:=? -]{1,200}""")
"""RFC 2046 allows 70 characters; those of Orthanc 1.10 have 73."""

NO_STORE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class Instance(BaseParser):
    """The parser of a body that is a single instance."""

    media_type = DICOM

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, list[memoryview]]:
        return {INSTANCES: [memoryview(_read(stream, parser_context))]}


class Instances(BaseParser):
    """The parts, which share the body's memory, because it may be large. Raises ParseError, also
    for parts of another type.
    """

    media_type = "multipart/related"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, list[memoryview]]:
        told = dict(parameters((media_type or "").split(";")[1:]))
        if told.get("type", DICOM).lower() != DICOM:
            raise ParseError(f"The parts are {DICOM}: data sets as JSON or XML are not taken.")
        if not _BOUNDARY.fullmatch(told.get("boundary", "")):
            raise ParseError("The Content-Type names no boundary (RFC 2046, 5.1.1).")
        body = _read(stream, parser_context)
        delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(told["boundary"].encode()))
        found = list(islice(delimiter.finditer(body), MOST_PARTS + 2))
        if len(found) > MOST_PARTS + 1:
            raise ParseError(f"There are more than {MOST_PARTS} parts. Send fewer at once.")
        if len(found) < 2 or not body.startswith(b"--", found[-1].end()):
            raise ParseError("The body is cut off, or not in parts.")
        return {
            INSTANCES: [
                _content(body, begins.end(), ends.start()) for begins, ends in pairwise(found)
            ]
        }


def parameters(parts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The parameters of a media type."""
    for part in parts:
        name, _, value = part.partition("=")
        yield name.strip().lower(), value.strip().strip('"')


def _content(body: bytes, begins: int, ends: int) -> memoryview:
    """The content of the part between two delimiters."""
    blank = body.find(b"\r\n\r\n", begins, ends)
    if blank < 0:
        raise ParseError("A part has no end of its head.")
    head = body[begins:blank]
    kind = re.search(rb"\r\ncontent-type:\s*([^;\r]+)", head, re.IGNORECASE)
    if kind and kind[1].strip().lower() != DICOM.encode():
        raise ParseError(f"A part is not {DICOM}.")
    return memoryview(body)[blank + 4 : ends]


def _read(stream: IO[Any], parser_context: Any) -> bytes:
    if int(parser_context["request"].META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        raise TooLarge(f"A request takes {size_in_words(MOST_BYTES)}. Send fewer at once.")
    found: bytes = stream.read()
    return found


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
