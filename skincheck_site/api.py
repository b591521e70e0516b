"""Settings of the API that are the same in every installation: OAuth and the OpenAPI document."""

from typing import Any

# Applications get tokens only by client credentials.
OAUTH2_PROVIDER: dict[str, Any] = {
    "SCOPES_BACKEND_CLASS": "accounts.scopes.ApplicationScopes",
    "OAUTH2_SERVER_CLASS": "oauthlib.oauth2.BackendApplicationServer",
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
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "SkinCheck API",
    "DESCRIPTION": "Records of skin lesions, their images, and what a model reads in them.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "HistologyDiagnosis": "screening.models.histology.DIAGNOSES",
        "Outcome": "screening.models.Outcome",
        "ReadingState": "screening.models.State",
    },
}
