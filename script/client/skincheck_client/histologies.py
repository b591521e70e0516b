"""Pathologists' diagnoses of lesions."""

from __future__ import annotations

from typing import TypedDict, Unpack

from skincheck_client.call import Call, Page, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import Histology, HistologyDiagnosis


class HistologyFilters(Filters, total=False):
    lesion: str
    patient: str
    diagnosis: HistologyDiagnosis


class NewHistology(TypedDict, total=False):
    """breslow_mm: ``"0.80"``. shown_at: ``Answer.date`` of what was shown to the user; without it
    the histology settles nothing. supersedes: the standing entry that it corrects.
    """

    breslow_mm: str | None
    note: str
    shown_at: str | None
    supersedes: str | None


def list(**filters: Unpack[HistologyFilters]) -> Call[Page[Histology]]:
    return Call("GET", "histologies/", parameters=fields(filters))


def get(histology: str) -> Call[Histology]:
    return Call("GET", f"histologies/{histology}/")


def create(
    *, lesion: str, diagnosis: HistologyDiagnosis, examined_on: str, **sent: Unpack[NewHistology]
) -> Call[Histology]:
    told = {"lesion": lesion, "diagnosis": diagnosis, "examined_on": examined_on}
    return Call("POST", "histologies/", body={**told, **fields(sent)})
