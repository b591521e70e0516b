"""Downloads of tables: which kind of file, and what the schema says of them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework.request import Request

from screening.exchange.tables import CONTENT_TYPES, FileType


class FileTypeFilter(filters.ChoiceFilter):
    """Checks the value among the filters, and leaves the rows as they are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=FileType.choices, help_text="CSV unless told.", **options)

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return qs


class TableFilter(filters.FilterSet):
    file_type = FileTypeFilter()


def file_type(request: Request) -> str:
    """As ``FileTypeFilter`` has let it pass."""
    return request.query_params.get("file_type", FileType.CSV)


def table_answers(example: str) -> dict[Any, OpenApiResponse]:
    return {
        (200, kind.partition(";")[0]): OpenApiResponse(
            OpenApiTypes.BINARY if "parquet" in kind else OpenApiTypes.STR,
            description=f"As {FileType(name).label}, streamed.",
            examples=[OpenApiExample("rows", example)] if name == FileType.CSV else [],
        )
        for name, kind in CONTENT_TYPES.items()
    }
