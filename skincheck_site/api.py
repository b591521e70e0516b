"""Settings of the API that are the same in every installation: OAuth and the OpenAPI document."""

from typing import Any

# Applications get tokens only by client credentials.
OAUTH2_PROVIDER: dict[str, Any] = {
    "SCOPES_BACKEND_CLASS": "accounts.scopes.ApplicationScopes",
    "OAUTH2_SERVER_CLASS": "accounts.web.token_server.Server",
    "OAUTH2_VALIDATOR_CLASS": "accounts.web.client_assertions.Validator",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    # RFC 9700's recommendations; client credentials is the only grant we use.
    **{
        f"COMPLIANT_BCP_RFC9700_{rule}": True
        for rule in (
            "TOKEN_STORAGE",  # tokens are stored hashed
            "ACCESS_TOKEN_TRANSPORT",
            "IMPLICIT_GRANT",
            "PASSWORD_GRANT",
            "PKCE_METHOD",
            "PKCE_REQUIRED",
            "AUTHZ_RESPONSE_ISS",
            "REFRESH_TOKEN",
            "REDIRECT_URI_SCHEME",
        )
    },
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "APPLICATION_ADMIN_CLASS": "accounts.admin.ApplicationAdmin",
    **dict.fromkeys(
        (
            "ACCESS_TOKEN_ADMIN_CLASS",
            "GRANT_ADMIN_CLASS",
            "ID_TOKEN_ADMIN_CLASS",
            "REFRESH_TOKEN_ADMIN_CLASS",
        ),
        "accounts.admin.TokenAdmin",
    ),
}
# The tags of the OpenAPI document: the first part of each path.
_TAGS = {
    "clinics": "The clinics that you work in.",
    "patients": "The people whose skin it is, by pseudonyms.",
    "lesions": "Spots on a patient's body.",
    "images": "Pictures of lesions, and their bytes.",
    "predictions": "What a model read in an image.",
    "reviews": "What clinicians concluded.",
    "histologies": "What pathologists found.",
    "visits": "What people report of their visits to a doctor.",
    "worklist": "What waits for a clinician.",
    "positions": "Lesions on the body map.",
    "measurements": "Size, shape and colours of a lesion in an image.",
    "scales": "Millimetres a pixel.",
    "outlines": "Outlines drawn by people.",
    "comparisons": "Two images of a lesion, aligned.",
    "change-marks": "What people saw in a comparison.",
    "alerts": "Change rules that fired.",
    "reminders": "When the next picture is due.",
    "calendar-feed": "The private calendar link.",
    "batches": "Many images in one upload.",
    "corrections": "What was corrected, by whom and why.",
    "exports": "All that is kept about a person, as one file.",
    "events": "What changed, to be asked for.",
    "followings": "Clinics that people invite to their own record.",
    "webhooks": "Addresses that are told of events.",
    "deliveries": "Events on their way to webhooks.",
    "dicom-nodes": "Archives that a lesion's pictures are sent to.",
    "dicom-deliveries": "Pictures on their way to archives.",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "SkinCheck API",
    "DESCRIPTION": "Records of skin lesions, their images, and what a model reads in them.",
    "VERSION": "1",
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/", "description": "The site that has this document."}],
    "TAGS": [{"name": name, "description": text} for name, text in _TAGS.items()],
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "BatchStateEnum": "screening.models.Batch.State",
        "DeliveryStateEnum": "screening.models.DeliveryState",
        "EventType": "screening.models.Event",
        "FollowingState": "screening.models.FollowingState",
        "ExportState": "screening.models.Export.State",
        "HistologyDiagnosis": "screening.models.histology.DIAGNOSES",
        "Outcome": "screening.models.Outcome",
        "ReadingState": "screening.models.State",
    },
}
