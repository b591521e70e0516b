"""A call of the API as data: what is sent, and what its answer becomes. Nothing is sent yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypedDict, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

import httpx

from skincheck_client.errors import Unreachable

T = TypeVar("T")
Row = TypeVar("Row")


class Page(TypedDict, Generic[Row]):
    """One page of a list, newest first."""

    results: list[Row]
    next: str | None
    previous: str | None


class Feed(TypedDict, Generic[Row]):
    """One page of changes, oldest first. cursor: where to continue, now or later."""

    results: list[Row]
    cursor: str
    has_more: bool


def _object(response: httpx.Response) -> Any:
    """The parsed body; empty for a response without one, as after a deletion."""
    if response.status_code == httpx.codes.NO_CONTENT:
        return {}
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unreachable("What answers there is not SkinCheck's API.")
    return body


@dataclass(frozen=True)
class Call(Generic[T]):
    """path: below ``/api/v1/``. body: sent as JSON or, with ``file``, as multipart."""

    method: str
    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    file: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    parse: Callable[[httpx.Response], T] = _object


@dataclass(frozen=True)
class Answer(Generic[T]):
    """etag: for ``if_match``, which changes only what was read.

    date: when the site answered. Keep it with what you show a clinician, and send it as
    ``shown_at`` of the review or the histology, which settles nothing that came later.
    """

    data: T
    etag: str
    date: str


def read(call: Call[T], response: httpx.Response) -> Answer[T]:
    date = response.headers.get("Date")
    return Answer(
        data=call.parse(response),
        etag=response.headers.get("ETag", ""),
        date=parsedate_to_datetime(date).isoformat() if date else "",
    )


def content(response: httpx.Response) -> bytes:
    return response.content


def as_texts(parameters: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in parameters.items()}


def next_page(call: Call[Page[Row]], page: Page[Row]) -> Call[Page[Row]] | None:
    """Use only the query of ``next``, so that the key is sent to one host only."""
    if page["next"] is None:
        return None
    return replace(call, parameters=dict(parse_qsl(urlsplit(page["next"]).query)))


def next_feed(call: Call[Feed[Row]], feed: Feed[Row]) -> Call[Feed[Row]]:
    return replace(call, parameters={**call.parameters, "cursor": feed["cursor"]})


def fields(sent: object) -> dict[str, Any]:
    """The keywords of a call, as they were given."""
    return dict(cast("Mapping[str, Any]", sent))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
