"""Downloads of tables: the file type, and its description in the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework.request import Request

from accounts.scope_permission import may_read
from screening.interop.tables import CONTENT_TYPES, Columns, FileType, Rows, as_download, only


class FileTypeFilter(filters.ChoiceFilter):
    """Checks the value along with the filters, and does not filter rows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=FileType.choices, help_text="CSV unless told.", **options)

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return qs


class TableFilter(filters.FilterSet):
    file_type = FileTypeFilter()


def file_type(request: Request) -> str:
    """The type, validated by ``FileTypeFilter``."""
    return request.query_params.get("file_type", FileType.CSV)


def table(
    request: Request,
    name: str,
    columns: Columns,
    rows: Rows,
    whose: Mapping[str, str] | None = None,
) -> HttpResponseBase:
    """The table as a file. whose: the resource that a column belongs to; without the scope to read
    it, the column is empty.
    """
    resources = whose or {}
    shown = {
        column
        for column in columns
        if column not in resources or may_read(request, resources[column])
    }
    return as_download(name, file_type(request), columns, only(columns, shown, rows))


def table_answers(example: str) -> dict[Any, OpenApiResponse]:
    return {
        (200, kind.partition(";")[0]): OpenApiResponse(
            OpenApiTypes.BINARY if "parquet" in kind else OpenApiTypes.STR,
            description=f"As {FileType(name).label}, streamed.",
            examples=[OpenApiExample("rows", example)] if name == FileType.CSV else [],
        )
        for name, kind in CONTENT_TYPES.items()
    }
