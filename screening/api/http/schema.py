"""Parts common to all operations of the OpenAPI document: authentication, headers, problems."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from accounts import scopes
from screening.api.http.errors import CONTENT_TYPE
from screening.api.http.idempotency import HEADER, MAX_LENGTH, PRINTABLE
from screening.api.http.problems import BY_STATUS

WRITING = {"POST", "PATCH"}


class ProblemError(serializers.Serializer[Any]):
    pointer = serializers.CharField(required=False, help_text='In the body; "" is all of it.')
    parameter = serializers.CharField(required=False, help_text="Of the query string.")
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField(help_text="Stable: `/problems/…`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField(help_text="The path that was asked for.")
    request_id = serializers.CharField(help_text="As in `X-Request-ID` and in the log.")
    scope = serializers.CharField(
        required=False, help_text="With `/problems/missing-scope`: the one that is needed."
    )
    errors = ProblemError(  # type: ignore[assignment]
        many=True, required=False, help_text="With `/problems/validation`."
    )


class PageSession(SessionScheme):
    target_class = "accounts.authentication.PageSession"


class Scoped(OpenApiAuthenticationExtension):
    """Names the scope that the operation needs."""

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[str]]:
        return {str(self.name): [needed_scope(auto_schema)]}


class BearerKey(Scoped):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A person's key, from the account page: `Authorization: Bearer sk_…`.",
        }


class ClientCredentials(Scoped):
    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = "application"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        flow = {"tokenUrl": reverse("oauth_token"), "scopes": dict.fromkeys(scopes.known(), "")}
        return {
            "type": "oauth2",
            "description": "A system that a clinic's admin has registered on the clinic's page.",
            "flows": {"clientCredentials": flow},
        }


class PageCookie(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.PageSession"
    name = "cookieAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def needed_scope(auto_schema: AutoSchema) -> str:
    view: Any = auto_schema.view
    return scopes.required(view.scope_resource, auto_schema.method)


class RecordSchema(AutoSchema):
    """Adds the parameters, responses and errors common to operations of a kind."""

    def get_override_parameters(self) -> list[Any]:
        return [*super().get_override_parameters(), *self._common_parameters()]

    def _common_parameters(self) -> list[OpenApiParameter]:
        found = list(ALWAYS_TOLD)
        if self._takes_shape():
            expandable: Any = getattr(self.view, "expandable", {})
            among = ", ".join(f"`{name}`" for name in expandable) or "none here"
            found += [FIELDS, asked("expand", f"{EXPAND} Of these, by commas: {among}.")]
        if self.method == "POST":
            found.append(IDEMPOTENCY_KEY)
        if self._compares():
            found.append(IF_MATCH)
        if self._has_tag():
            codes = {"GET": [200, 304], "POST": [200, 201], "PATCH": [200]}
            found.append(header("ETag", "Of the whole record.", *codes[str(self.method)]))
        return found

    def _has_tag(self) -> bool:
        action = getattr(self.view, "action", None)
        return action in ("retrieve", "partial_update") or (
            action == "create" and hasattr(self.view, "perform_create")
        )

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        if getattr(self.view, "action", None) == "retrieve":
            known = OpenApiResponse(description="You have it already: `If-None-Match`.")
            bodies["304"] = self._get_response_for_code(known, "304")
        if self._takes_shape():
            self._add_shapes(bodies["200"])
        for code in self._problem_codes():
            problem = OpenApiResponse(Problem, description=BY_STATUS[code].title)
            bodies[str(code)] = self._get_response_for_code(problem, str(code), [CONTENT_TYPE])
        return bodies

    def _takes_shape(self) -> bool:
        """Whether it takes ``fields`` and ``expand``."""
        is_read = getattr(self.view, "action", None) in ("list", "retrieve")
        return is_read and getattr(self.view, "expandable", None) is not None

    def _add_shapes(self, body: dict[str, Any]) -> None:
        """Say that a record is whole, or as ``fields`` and ``expand`` make it."""
        content = body["content"]["application/json"]
        found = self._component(content["schema"])
        if not found.name.startswith("Paginated"):
            content["schema"] = {"anyOf": [found.ref, self._shaped(found).ref]}
            return
        rows = found.schema["properties"]["results"]
        if "$ref" in rows["items"]:
            one = self._component(rows["items"])
            rows["items"] = {"anyOf": [one.ref, self._shaped(one).ref]}

    def _component(self, schema: dict[str, Any]) -> Any:
        return self.registry[schema["$ref"].rpartition("/")[2], ResolvedComponent.SCHEMA]

    def _shaped(self, whole: Any) -> ResolvedComponent:
        """The record with any of its fields, and records in place of identifiers."""
        fields = deepcopy(whole.schema["properties"])
        view: Any = self.view
        for name, target in view.expandable.items():
            serializer = target(request=None, format_kwarg=None, action="list").serializer_class
            record = self.resolve_serializer(serializer, "response")
            fields[name] = {
                "anyOf": [fields[name], record.ref],
                "description": f"The record with `expand={name}`.",
            }
        shaped = ResolvedComponent(
            name=f"Shaped{whole.name}",
            type=ResolvedComponent.SCHEMA,
            schema={
                "type": "object",
                "description": f"A {whole.name} of a request with `fields` or `expand`: only the "
                "fields asked for, and records in place of identifiers.",
                "properties": fields,
            },
            object=f"Shaped{whole.name}",
        )
        self.registry.register_on_missing(shaped)
        return shaped

    def _problem_codes(self) -> list[int]:
        codes = {400, 401, 403, 406, 429, 500}
        if "{id}" in self.path:
            codes |= {404}
        if self.method in WRITING:
            codes |= {409, 413, 415}
        if self.method == "POST":
            codes |= {422}
        if self._compares():
            codes |= {412}
        return sorted(codes)

    def _compares(self) -> bool:
        """Whether it checks If-Match: changes and corrections do."""
        corrects = self.method == "POST" and getattr(self.view, "compares", False)
        return self.method == "PATCH" or corrects


def asked(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string", "minLength": 1}, description=description)


def sent_header(name: str, description: str, **more: Any) -> OpenApiParameter:
    kind = {"type": "string", **more}
    return OpenApiParameter(name, kind, OpenApiParameter.HEADER, description=description)


def header(name: str, description: str, *codes: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, str, OpenApiParameter.HEADER, description=description, response=list(codes)
    )


ALWAYS_TOLD = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, response=True)
    for name, description in (
        ("X-Request-ID", "Yours, if you sent one; the log has it too."),
        ("RateLimit-Policy", 'What a caller has: `"caller";q=600;w=60`, requests in seconds.'),
        ("RateLimit", 'What is left: `"caller";r=599;t=42`, until that many seconds.'),
    )
]
FIELDS = asked("fields", "Only these fields, by commas. The others are left out of the answer.")
EXPAND = "The record in place of its identifier; needs the scope to read it."
IDEMPOTENCY_KEY = sent_header(
    HEADER,
    "A name of your own for this request. Sent again within 24 hours, with the same body, it is "
    "answered as the first time and nothing is done twice.",
    minLength=1,
    maxLength=MAX_LENGTH,
    pattern=PRINTABLE,
)
IF_MATCH = sent_header("If-Match", "The `ETag` that you looked at: 412 if it changed since.")
PREFER = sent_header(
    "Prefer", "`wait=N`: hold the answer back until the reading is there, at most 20 seconds."
)
