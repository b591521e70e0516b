"""Pictures on their way to DICOM nodes, which ``lesions.send`` sends, and what became of them."""

from __future__ import annotations

from typing import Unpack

from skincheck_client.call import Call, Page, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import DeliveryState, DicomDelivery


class DicomDeliveryFilters(Filters, total=False):
    node: str
    image: str
    lesion: str
    state: DeliveryState


def list(**filters: Unpack[DicomDeliveryFilters]) -> Call[Page[DicomDelivery]]:
    return Call("GET", "dicom-deliveries/", parameters=fields(filters))


def get(delivery: str) -> Call[DicomDelivery]:
    return Call("GET", f"dicom-deliveries/{delivery}/")


def resend(delivery: str) -> Call[DicomDelivery]:
    """Try one that failed for another day. Raises Invalid for any other."""
    return Call("POST", f"dicom-deliveries/{delivery}/resend/", body={})
