"""CapabilityStatement: what this server can do, for a client that does not know it."""

from __future__ import annotations

from accounts import discovery
from screening.interop.fhir import includes
from screening.interop.fhir.elements import Json, canonical, concept, resource
from screening.interop.fhir.resources import KINDS, Stored
from screening.interop.fhir.terminology import PUBLISHED

ABOUT_LISTED = {
    "_id": ("token", "The resource's id."),
    "url": ("uri", "The canonical name."),
}
SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
SECURITY = (
    "A token or API key of the platform as `Authorization: Bearer`, with the scope fhir:read, or a "
    "token with SMART's system scopes (Backend Services; there is no launch). Only what its owner "
    "may see is there."
)
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def statement(base: str) -> Json:
    return resource(
        "CapabilityStatement",
        "skincheck",
        url=canonical("metadata"),
        version="1",
        name="SkinCheck",
        title="SkinCheck, read-only",
        status="active",
        experimental=False,
        date=PUBLISHED,
        description="Records of skin lesions, their images, and what a model and clinicians said "
        "of them. Research software, not a medical device.",
        kind="instance",
        software={"name": "SkinCheck"},
        implementation={"description": "SkinCheck", "url": base},
        fhirVersion="4.0.1",
        format=["application/fhir+json", "json"],
        rest=[
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "service": [
                        concept(SERVICE, "SMART-on-FHIR", "SMART-on-FHIR"),
                        concept(SERVICE, "OAuth", "OAuth"),
                    ],
                    "extension": [
                        {
                            "url": OAUTH_URIS,
                            "extension": [
                                {"url": "token", "valueUri": discovery.token_address()},
                                {"url": "revoke", "valueUri": discovery.revocation_address()},
                            ],
                        }
                    ],
                    "description": SECURITY,
                },
                "resource": [*(_resource(kind) for kind in KINDS), _BINARY],
            }
        ],
    )


_BINARY: Json = {
    "type": "Binary",
    "interaction": [{"code": "read"}],
    "versioning": "no-version",
    "documentation": "The picture itself: as it is, or in JSON for Accept: application/fhir+json.",
}


def _resource(kind: str) -> Json:
    found = KINDS[kind]
    if isinstance(found, Stored):
        about = {name: (one.type, one.about) for name, one in found.parameters.items()}
    else:
        about = {name: ABOUT_LISTED[name] for name in found.names}
    told: Json = {
        "type": kind,
        "documentation": found.about,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "searchParam": [
            {"name": name, "type": type_, "documentation": text}
            for name, (type_, text) in about.items()
            if "." not in name  # a chain of two of them
        ],
    }
    told["searchInclude"], told["searchRevInclude"] = includes.told(kind)
    if kind == "Patient":
        definition = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
        told["operation"] = [{"name": "everything", "definition": definition}]
    return told
