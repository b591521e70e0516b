"""A clinic's archives, and other DICOMweb servers that store instances."""

from __future__ import annotations

import builtins
from typing import TypedDict, Unpack

from skincheck_client.call import Call, Page, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import DicomAuthorization, DicomNode, Tested


class DicomNodeFilters(Filters, total=False):
    clinic: str


class DicomNodeFields(TypedDict, total=False):
    """credentials: ``name:password``, or the token. for_research: only pictures of those who
    consented to research go there.
    """

    authorization: DicomAuthorization
    credentials: str
    for_research: bool


class DicomNodeChanges(DicomNodeFields, total=False):
    """Another address needs its credentials again."""

    name: str
    address: str


def list(**filters: Unpack[DicomNodeFilters]) -> Call[Page[DicomNode]]:
    return Call("GET", "dicom-nodes/", parameters=fields(filters))


def get(node: str) -> Call[DicomNode]:
    return Call("GET", f"dicom-nodes/{node}/")


def create(
    *, clinic: str, name: str, address: str, **sent: Unpack[DicomNodeFields]
) -> Call[DicomNode]:
    """address: what comes before ``/studies``. ``lesions.send`` sends pictures there."""
    told = {"clinic": clinic, "name": name, "address": address}
    return Call("POST", "dicom-nodes/", body={**told, **fields(sent)})


def change(node: str, *, if_match: str = "", **sent: Unpack[DicomNodeChanges]) -> Call[DicomNode]:
    """if_match: the ``etag`` of an answer. Raises Changed if somebody changed it since."""
    headers = {"If-Match": if_match} if if_match else {}
    return Call("PATCH", f"dicom-nodes/{node}/", body=fields(sent), headers=headers)


def remove(node: str) -> Call[builtins.dict[str, object]]:
    """Nothing more is sent there. What was sent stays told."""
    return Call("DELETE", f"dicom-nodes/{node}/")


def test(node: str) -> Call[Tested]:
    """Ask whether it answers. Nothing is stored."""
    return Call("POST", f"dicom-nodes/{node}/test/", body={})
