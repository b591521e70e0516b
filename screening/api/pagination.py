"""Pages of lists, by cursor: a row that is added meanwhile moves none to another page."""

from __future__ import annotations

from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from screening.api.errors import QueryError


class CreatedCursorPagination(CursorPagination):
    """The newest first; 50 rows a page, or as many as ``page_size`` says."""

    ordering = ("-created", "-pk")
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    page_size_query_description = f"Rows a page, 1 to {max_page_size}."
    cursor_query_description = "Where a page begins. Follow `next` and `previous` instead."

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size", str(self.page_size))
        if text.isascii() and text.isdigit() and len(text) <= len(str(self.max_page_size)):
            size = int(text)
            if 1 <= size <= self.max_page_size:
                return size
        raise QueryError({"page_size": f"Give a number from 1 to {self.max_page_size}."})

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position and not parse_datetime(str(cursor.position)):
                raise ValueError(cursor.position)
        except (NotFound, ValueError):
            raise QueryError({"cursor": "This is no cursor of ours. Begin without one."}) from None
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
