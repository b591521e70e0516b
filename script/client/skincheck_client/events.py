"""What changed, as webhooks are told, for 30 days."""

from __future__ import annotations

from typing import Unpack

from skincheck_client.call import Call, Feed, fields
from skincheck_client.listing import Paging
from skincheck_client.resources import Event, EventType


class EventFilters(Paging, total=False):
    """cursor: that of the last page you have worked off; without it, from the beginning."""

    cursor: str
    type: EventType


def list(**filters: Unpack[EventFilters]) -> Call[Feed[Event]]:
    """Take an event of a record as: fetch it again."""
    return Call("GET", "events/", parameters=fields(filters))
