"""What a client accepts: media types with their parameters as defined by PS3.18, 8.7."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rest_framework.request import Request

from screening.api.dicomweb.multipart import parameters

_ITEMS = re.compile(r'(?:[^,"]|"[^"]*")+')
_PARTS = re.compile(r'(?:[^;"]|"[^"]*")+')
MULTIPART = "multipart/related"
ANY = "*/*"


@dataclass(frozen=True, slots=True)
class Accepted:
    """media_type: of the answer, or of its parts if is_multipart. syntax: a transfer syntax, "*"
    for any, "" if none is named.
    """

    media_type: str
    is_multipart: bool
    syntax: str

    def takes(self, media_type: str) -> bool:
        kind = media_type.partition("/")[0]
        return self.media_type in (media_type, f"{kind}/*", ANY)


def accepted(request: Request) -> list[Accepted]:
    """From the parameter ``accept``, else the header; the preferred ones first."""
    asked = request.query_params.get("accept") or request.headers.get("Accept") or ANY
    found = [_of(item) for item in _ITEMS.findall(asked)]
    ordered = sorted((one for one in found if one[0] > 0), key=lambda one: -one[0])
    return [one for _, one in ordered]


def _of(item: str) -> tuple[float, Accepted]:
    media_type, *rest = [part.strip() for part in _PARTS.findall(item)] or [""]
    told = dict(parameters(rest))
    try:
        weight = float(told.get("q", "1"))
    except ValueError:
        weight = 0.0
    is_multipart = media_type.lower() == MULTIPART
    if is_multipart:
        media_type = told.get("type", ANY)
    return weight, Accepted(media_type.lower(), is_multipart, told.get("transfer-syntax", ""))
