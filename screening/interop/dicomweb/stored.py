"""The answer to STOW-RS (PS3.18, 10.5.3.1) in DICOM JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from screening.interop.dicom import uids
from screening.interop.dicomweb.storage import COERCED, Sent
from screening.models import LesionImage

Json = dict[str, Any]


def told(sent: Iterable[Sent], base: str) -> Json:
    """What is stored, what failed, and what failed without a name. base: of the addresses."""
    stored: list[Json] = []
    failed: list[Json] = []
    nameless: list[Json] = []
    for one in sent:
        if one.image is not None:
            address = {"00081190": _element("UR", _address(one.image, base))}
            stored.append(_named(one) | address | {"00081196": _element("US", COERCED)})
            continue
        why = {
            "00081197": _element("US", int(one.reason or 0)),
            "0040A160": _element("UT", one.text),
        }
        if one.identity.instance:
            failed.append(_named(one) | why)
        else:
            nameless.append(why)
    found = {"00081199": stored, "00081198": failed, "0008119A": nameless}
    return {tag: {"vr": "SQ", "Value": items} for tag, items in found.items() if items}


def _named(one: Sent) -> Json:
    told = {"00081150": one.identity.kind, "00081155": one.identity.instance}
    return {tag: _element("UI", uid) for tag, uid in told.items()}


def _element(vr: str, value: Any) -> Json:
    return {"vr": vr, "Value": [value]}


def _address(image: LesionImage, base: str) -> str:
    lesion, day = image.lesion, image.captured_on
    study = uids.study_uid(lesion.patient_id, day)
    series = uids.series_uid(lesion.pk, day, image.modality)
    return f"{base}/studies/{study}/series/{series}/instances/{uids.instance_uid(image)}"
