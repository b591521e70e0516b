"""Request parsers with limits: Django's own do not apply to bodies that DRF reads itself."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework import parsers
from rest_framework.exceptions import ParseError

from ml.opening.limits import IN_BYTES, MAX_BYTES
from screening.api.http.known import TooLarge
from screening.batches.archives import ARCHIVE_TOO_LARGE, MAX_ARCHIVE_BYTES
from skincheck_site import untrusted_json

# One picture with its multipart/form-data overhead.
MAX_UPLOAD_BYTES = MAX_BYTES + 1_000_000
# Of a JSON body: lists, objects, and the commas between items.
MAX_PARTS = 50_000


class JSONBody(parsers.JSONParser):
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Any = None,
    ) -> dict[str, Any]:
        if _length(parser_context) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge()
        return _json(stream, media_type, parser_context)


class JSONUpload(parsers.BaseParser):
    """JSON with a picture in base64, which takes four bytes for three. Not a JSONParser, because
    those are limited to Django's maximum body size.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Any = None,
    ) -> dict[str, Any]:
        if _length(parser_context) > 4 * MAX_BYTES // 3 + 1_000_000:
            raise TooLarge(f"The picture is larger than {IN_BYTES}. Export it smaller.")
        return _json(stream, media_type, parser_context)


class Upload(parsers.MultiPartParser):
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Any = None,
    ) -> Any:
        if _length(parser_context) > MAX_UPLOAD_BYTES:
            raise TooLarge(f"The upload is larger than {IN_BYTES}. Export the picture smaller.")
        return super().parse(stream, media_type, parser_context)


class ArchiveUpload(parsers.MultiPartParser):
    """Streams to disk: ``screening.web.uploads`` allows larger bodies at this URL than at
    others.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        if _length(parser_context) > MAX_ARCHIVE_BYTES + 1_000_000:
            raise TooLarge(ARCHIVE_TOO_LARGE)
        return super().parse(stream, media_type, parser_context)


def _json(stream: IO[Any], media_type: str | None, parser_context: Any) -> dict[str, Any]:
    body = stream.read()
    if untrusted_json.has_parts(body, MAX_PARTS):
        raise TooLarge("The JSON has more parts than anything here takes.")
    try:
        parser = parsers.JSONParser()
        data: dict[str, Any] = parser.parse(BytesIO(body), media_type, parser_context)
        untrusted_json.require_sound(data)
    except RecursionError:
        raise ParseError(f"JSON parse error - {untrusted_json.TOO_DEEP}") from None
    except ValueError as error:
        raise ParseError(f"JSON parse error - {error}") from None
    return data


def _length(parser_context: dict[str, Any]) -> int:
    """The declared length of the body. The server reads no further than that."""
    return int(parser_context["request"].META.get("CONTENT_LENGTH") or 0)
