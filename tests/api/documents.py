"""The OpenAPI document of the code, generated once for all tests that walk it."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator


@cache
def whole_schema() -> dict[str, Any]:
    """Read only: all callers share it."""
    return SchemaGenerator().get_schema(request=None, public=True)
