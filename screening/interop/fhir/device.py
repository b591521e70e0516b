"""Device: the model that reads, by version; and its card as a DocumentReference."""

from __future__ import annotations

from typing import Any

from ml import reader
from screening.interop.fhir.elements import Json, canonical, resource
from screening.predictions import adoption

SHA256 = "SHA-256 of the weights"


def weights_system() -> str:
    return canonical("identifier/weights-sha256")


def has_card(version: str) -> bool:
    return version in reader.versions()


def render(version: str, base: str) -> Json:
    """Only the name, for a version whose files have been removed: its readings still refer
    to it.
    """
    card = _card(version)
    site = base.removesuffix("/fhir/R4")
    weights = card.get("weights_sha256")
    return resource(
        "Device",
        version,
        identifier=[{"system": weights_system(), "value": weights}] if weights else [],
        status="active" if version == adoption.default() else "inactive",
        manufacturer=card.get("developer"),
        deviceName=[{"name": card.get("name", "SkinCheck reader"), "type": "user-friendly-name"}],
        type={"text": "Artificial intelligence: a neural network for dermatoscopic images"},
        version=[
            {"value": version},
            *([{"type": {"text": SHA256}, "value": weights}] if weights else []),
        ],
        url=f"{site}/model/{version}/" if card else None,
        note=[{"text": card["intended_use"]}] if card else [],
    )


def render_card(version: str, base: str) -> Json:
    card = _card(version)
    site = base.removesuffix("/fhir/R4")
    title = f"Model card of version {version}"
    return resource(
        "DocumentReference",
        version,
        status="current",
        docStatus="final",
        type={"text": "Model card"},
        date=f"{card['date']}T00:00:00Z",
        description=title,
        content=[
            {"attachment": {"contentType": kind, "url": f"{site}{path}", "title": title}}
            for kind, path in (
                ("application/json", f"/model/{version}/card.json"),
                ("text/html", f"/model/{version}/"),
            )
        ],
        context={"related": [{"reference": f"Device/{version}"}]},
    )


def _card(version: str) -> dict[str, Any]:
    return reader.card(version) if has_card(version) else {}
