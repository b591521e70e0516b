"""The parameters of every list."""

from __future__ import annotations

from typing import TypedDict


class Paging(TypedDict, total=False):
    """page_size: rows per request, up to 200."""

    page_size: int


class Filters(Paging, total=False):
    """modified_after: added or changed at this moment or later."""

    modified_after: str
