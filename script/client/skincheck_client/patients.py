"""People whose skin it is."""

from __future__ import annotations

import builtins
from typing import TypedDict, Unpack

from skincheck_client.call import Call, Page, content, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import Identifier, Patient, Sex, SkinType


class PatientFilters(Filters, total=False):
    """identifier: ``system|value``. search: in labels."""

    clinic: str
    identifier: str
    search: str


class PatientFields(TypedDict, total=False):
    """clinic: whose patient; without it your own skin. It cannot be changed later. confirms: true
    before a clinic's first record, if its patients are informed and consent.
    """

    clinic: str | None
    confirms: bool
    identifiers: builtins.list[Identifier]
    birth_year: int | None
    sex: Sex
    skin_type: SkinType


class PatientChanges(PatientFields, total=False):
    label: str


def list(**filters: Unpack[PatientFilters]) -> Call[Page[Patient]]:
    return Call("GET", "patients/", parameters=fields(filters))


def get(patient: str) -> Call[Patient]:
    return Call("GET", f"patients/{patient}/")


def create(*, label: str, **sent: Unpack[PatientFields]) -> Call[Patient]:
    """label: a pseudonym or number, not a name. With a known identifier, the known patient is
    returned unchanged.
    """
    return Call("POST", "patients/", body={"label": label, **fields(sent)})


def change(patient: str, *, if_match: str = "", **sent: Unpack[PatientChanges]) -> Call[Patient]:
    """if_match: the ``etag`` of an answer. Raises Changed if somebody changed it since."""
    headers = {"If-Match": if_match} if if_match else {}
    return Call("PATCH", f"patients/{patient}/", body=fields(sent), headers=headers)


def report(patient: str) -> Call[bytes]:
    """The report as PDF."""
    return Call("GET", f"patients/{patient}/report/", parse=content)
