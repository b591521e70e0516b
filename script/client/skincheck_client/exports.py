"""All data about a patient, as one ZIP: see ``docs/export.md``."""

from __future__ import annotations

from typing import Unpack

from skincheck_client.call import Call, Page, content, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import Export, ExportState


class ExportFilters(Filters, total=False):
    patient: str
    state: ExportState


def list(**filters: Unpack[ExportFilters]) -> Call[Page[Export]]:
    return Call("GET", "exports/", parameters=fields(filters))


def get(export: str) -> Call[Export]:
    return Call("GET", f"exports/{export}/")


def request(*, patient: str | None = None) -> Call[Export]:
    """patient: whose record; without it, your account and your own records."""
    return Call("POST", "exports/", body={"patient": patient})


def file(export: str) -> Call[bytes]:
    return Call("GET", f"exports/{export}/file/", parse=content)
