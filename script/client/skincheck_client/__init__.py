"""A client of a SkinCheck site: see ``docs/client.md``.

Research software, not a medical device. It cannot diagnose or rule out skin cancer. Show an
``outcome`` to nobody without its ``advice`` and ``disclaimer``.
"""

from skincheck_client import (
    clinics,
    dicom_deliveries,
    dicom_nodes,
    events,
    exports,
    histologies,
    images,
    lesions,
    patients,
    predictions,
    reviews,
)
from skincheck_client.call import Answer, Call, Feed, Page
from skincheck_client.client import AsyncClient, Client
from skincheck_client.credentials import ClientCredentials
from skincheck_client.errors import (
    Changed,
    Invalid,
    NotAuthenticated,
    NotFinished,
    NotFound,
    NotPermitted,
    Problem,
    SamePicture,
    SkinCheckError,
    Unreachable,
)

__all__ = [
    "Answer",
    "AsyncClient",
    "Call",
    "Changed",
    "Client",
    "ClientCredentials",
    "Feed",
    "Invalid",
    "NotAuthenticated",
    "NotFinished",
    "NotFound",
    "NotPermitted",
    "Page",
    "Problem",
    "SamePicture",
    "SkinCheckError",
    "Unreachable",
    "clinics",
    "dicom_deliveries",
    "dicom_nodes",
    "events",
    "exports",
    "histologies",
    "images",
    "lesions",
    "patients",
    "predictions",
    "reviews",
]
