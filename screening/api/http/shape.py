"""``fields=`` and ``expand=``: fewer fields of a record, or a record in place of an identifier."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from accounts import scopes
from accounts.scope_permission import MissingScope, may_read
from screening.api.http.known import QueryError

PARAMETERS = ("fields", "expand")


def shaped(view: Any, request: Request, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in the form that the query string requests. A few queries at most for each
    ``expand``.
    """
    expand = _named(request, "expand", view.expandable)
    for name in expand:
        _expand(view.expandable[name], request, rows, name)
    wanted = _named(request, "fields", view.get_serializer().fields)
    if not wanted:
        return rows
    return [{name: value for name, value in row.items() if name in wanted} for row in rows]


def _named(request: Request, parameter: str, known: Any) -> list[str]:
    """The names in a comma-separated parameter. Raises QueryError for an unknown one."""
    text = request.query_params.get(parameter)
    if text is None:
        return []
    named = text.split(",")
    if unknown := [name for name in named if name not in known]:
        among = ", ".join(known) or "none here"
        raise QueryError({parameter: f"There is no {unknown[0]!r}. There are: {among}."})
    return named


def _expand(target: Any, request: Request, rows: list[dict[str, Any]], name: str) -> None:
    """Replace an identifier with the record. Needs the scope to read it."""
    if not may_read(request, target.scope_resource):
        raise MissingScope(scopes.required(target.scope_resource, "GET"))
    view = target(request=request, format_kwarg=None, action="list")
    found = view.get_queryset().filter(pk__in={row[name] for row in rows if row[name]})
    records = {str(one["id"]): one for one in view.get_serializer(found, many=True).data}
    for row in rows:
        row[name] = records.get(str(row[name]), row[name])
