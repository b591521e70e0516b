"""Your clinics, with your role in each."""

from __future__ import annotations

from typing import Unpack

from skincheck_client.call import Call, Page, fields
from skincheck_client.listing import Paging
from skincheck_client.resources import Clinic


def list(**filters: Unpack[Paging]) -> Call[Page[Clinic]]:
    return Call("GET", "clinics/", parameters=fields(filters))


def get(clinic: str) -> Call[Clinic]:
    return Call("GET", f"clinics/{clinic}/")
