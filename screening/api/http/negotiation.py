"""Content negotiation: a refusal says what to send."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class Negotiation(DefaultContentNegotiation):
    def select_parser(self, request: Request, parsers: Any) -> Any:
        """By ``Content-Type``, without which any body would be read as the first of them."""
        parser = super().select_parser(request, parsers)
        if parser is None:
            kinds = " or ".join(dict.fromkeys(each.media_type for each in parsers))
            raise UnsupportedMediaType(request.content_type, f"Send {kinds} here.")
        return parser

    def get_accept_list(self, request: Request) -> list[str]:
        """An empty header accepts anything (RFC 9110, 12.5.1)."""
        return [kind for kind in super().get_accept_list(request) if kind] or ["*/*"]
