"""Spots on a patient's body."""

from __future__ import annotations

import builtins
from typing import TypedDict, Unpack

from skincheck_client.call import Call, Page, content, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import BodySite, Identifier, Lesion, Sent


class LesionFilters(Filters, total=False):
    """identifier: ``system|value``. search: in labels, sites and notes."""

    patient: str
    body_site: BodySite
    identifier: str
    search: str


class LesionFields(TypedDict, total=False):
    """Without a label it is named "Lesion n"."""

    identifiers: builtins.list[Identifier]
    label: str
    body_site: BodySite
    notes: str
    raised: bool
    bleeding: bool
    itching: bool
    changing: bool


def list(**filters: Unpack[LesionFilters]) -> Call[Page[Lesion]]:
    return Call("GET", "lesions/", parameters=fields(filters))


def get(lesion: str) -> Call[Lesion]:
    return Call("GET", f"lesions/{lesion}/")


def create(*, patient: str, **sent: Unpack[LesionFields]) -> Call[Lesion]:
    """With a known identifier, the known lesion is returned unchanged. ``images.add_first`` opens
    one together with its first picture.
    """
    return Call("POST", "lesions/", body={"patient": patient, **fields(sent)})


def change(lesion: str, *, if_match: str = "", **sent: Unpack[LesionFields]) -> Call[Lesion]:
    """if_match: the ``etag`` of an answer. Raises Changed if somebody changed it since."""
    headers = {"If-Match": if_match} if if_match else {}
    return Call("PATCH", f"lesions/{lesion}/", body=fields(sent), headers=headers)


def send(lesion: str, *, node: str, with_readings: bool = False) -> Call[Sent]:
    """Send its pictures to a DICOM node of the clinic. ``dicom_deliveries`` has what becomes of
    them. with_readings: the reading of each, as structured report and segmentation.
    """
    body = {"node": node, "with_readings": with_readings}
    return Call("POST", f"lesions/{lesion}/send/", body=body)


def report(lesion: str) -> Call[bytes]:
    """The report as PDF."""
    return Call("GET", f"lesions/{lesion}/report/", parse=content)
