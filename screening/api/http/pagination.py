"""Cursor pagination: rows added meanwhile do not move others to another page."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from rest_framework.exceptions import NotFound
from rest_framework.pagination import (
    BasePagination,
    Cursor,
    CursorPagination,
    PageNumberPagination,
)
from rest_framework.request import Request
from rest_framework.response import Response

from screening.api.http.known import QueryError
from screening.formatting import moment

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
FEED_DAYS = 30
"""How long events are kept: as long as the webhooks' log."""
NO_CURSOR = "This is no cursor of ours. Begin without one."
FIRST_PAGE = Cursor(offset=0, reverse=False, position=None)
"""Which no cursor of ours names."""
_SIZE_DESCRIPTION = f"Rows a page, 1 to {MAX_PAGE_SIZE}."
BOUNDS: dict[str, dict[str, int]] = {
    "page": {"minimum": 1},
    "page_size": {"minimum": 1, "maximum": MAX_PAGE_SIZE},
    "cursor": {"minLength": 1},
}
"""The documented range of each parameter; other values are rejected."""


class SizedPages(BasePagination):
    """50 rows per page, or ``page_size``. Raises QueryError."""

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size", str(PAGE_SIZE))
        if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PAGE_SIZE)):
            size = int(text)
            if 1 <= size <= MAX_PAGE_SIZE:
                return size
        raise QueryError({"page_size": f"Give a number from 1 to {MAX_PAGE_SIZE}."})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"] |= BOUNDS[parameter["name"]]
        return parameters


class NumberedPages(SizedPages, PageNumberPagination):
    """Numbered pages, for lists in their own order that are computed on each request."""

    parameters = ("page", "page_size")  # for StrictFilterBackend
    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    page_size_query_description = _SIZE_DESCRIPTION

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except NotFound:
            raise QueryError({"page": "There is no such page."}) from None

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {
            "type": ["string", "null"],
            "format": "uri",
            "example": "https://skincheck.example.org/api/v1/worklist/?page=2",
        }
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "description": "Rows on all pages.", "example": 1},
                "next": {**link, "description": "The next page."},
                "previous": {**link, "description": "The page before."},
                "results": schema,
            },
        }


class CreatedCursorPagination(SizedPages, CursorPagination):
    """Newest first."""

    parameters = ("cursor", "page_size")  # for StrictFilterBackend
    ordering = ("-created", "-pk")
    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    page_size_query_description = _SIZE_DESCRIPTION
    cursor_query_description = "Where a page begins. Follow `next` and `previous` instead."

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            if cursor == FIRST_PAGE:  # what holds nothing of a cursor is decoded as this
                raise ValueError
            if cursor is not None and cursor.position is not None:
                moment(str(cursor.position))
        except (NotFound, ValueError):
            raise QueryError({"cursor": NO_CURSOR}) from None
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {
            "type": ["string", "null"],
            "format": "uri",
            "example": "https://skincheck.example.org/api/v1/patients/?cursor=cD0yMDI2LTAzLTEy",
        }
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "description": "The next page, older rows."},
                "previous": {**link, "description": "The page before, newer rows."},
                "results": schema,
            },
        }


class FeedPages(SizedPages):
    """Oldest first, from a cursor that stays valid while its row would still be there."""

    parameters = ("cursor", "page_size")  # for StrictFilterBackend
    page_size_query_param = "page_size"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        size = self.get_page_size(request)
        self.cursor = request.query_params.get("cursor", "")
        if self.cursor:
            since, pk = self._place(self.cursor)
            later = Q(created=since, pk__gt=pk) | Q(created__gt=since)
            queryset = queryset.filter(created__gte=since).filter(later)
        rows = list(queryset.order_by("created", "pk")[: size + 1])
        self.has_more = len(rows) > size
        rows = rows[:size]
        if rows:
            text = f"{rows[-1].created.isoformat()} {rows[-1].pk}"
            self.cursor = urlsafe_b64encode(text.encode()).decode()
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"cursor": self.cursor, "has_more": self.has_more, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["cursor", "has_more", "results"],
            "properties": {
                "cursor": {
                    "type": "string",
                    "description": "Where to go on, now or later. Empty: there was nothing yet.",
                    "example": "MjAyNi0wMy0yNFQwODoxMjowMy43NzEyMDQrMDA6MDAgMDE5YWIxYTc=",
                },
                "has_more": {
                    "type": "boolean",
                    "description": "Whether more is there already.",
                    "example": False,
                },
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        about = {"cursor": "Go on after this place.", "page_size": _SIZE_DESCRIPTION}
        types = {"cursor": "string", "page_size": "integer"}
        return [
            {
                "name": name,
                "required": False,
                "in": "query",
                "description": text,
                "schema": {"type": types[name]} | BOUNDS[name],
            }
            for name, text in about.items()
        ]

    @staticmethod
    def _place(cursor: str) -> tuple[datetime, UUID]:
        try:
            first, _, second = urlsafe_b64decode(cursor.encode("ascii")).decode().partition(" ")
            since, pk = moment(first), UUID(second)
            is_past = since < timezone.now() - timedelta(days=FEED_DAYS)
        except (ValueError, TypeError, OverflowError):
            raise QueryError({"cursor": NO_CURSOR}) from None
        if is_past:
            text = (
                f"Events are kept for {FEED_DAYS} days: some were missed. Begin without a cursor."
            )
            raise QueryError({"cursor": text})
        return since, pk
