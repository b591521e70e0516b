"""The events of webhooks, for 30 days."""

from __future__ import annotations

from typing import Unpack

from skincheck_client.call import Call, Feed, fields
from skincheck_client.listing import Paging
from skincheck_client.resources import Event, EventType


class EventFilters(Paging, total=False):
    """cursor: of the last page that you have processed; without it, from the beginning."""

    cursor: str
    type: EventType


def list(**filters: Unpack[EventFilters]) -> Call[Feed[Event]]:
    """An event of a record means: fetch the record again."""
    return Call("GET", "events/", parameters=fields(filters))
