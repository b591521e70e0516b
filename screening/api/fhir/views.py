"""FHIR R4, read-only. ``screening.interop.fhir`` decides who sees what."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import discovery
from accounts.models import User
from accounts.scope_permission import HasScope, MissingScope
from accounts.smart_scopes import READ, SEARCH
from screening.api.fhir.negotiation import (
    FhirJSON,
    FhirJSONParser,
    FhirNegotiation,
    is_strict,
    wants_resource,
)
from screening.api.fhir.outcomes import CONTENT_TYPE, handler
from screening.api.http.parsers import JSONBody
from screening.errors import SearchError
from screening.images import delivery
from screening.interop.fhir import bundles, capability, media, search, summaries
from screening.interop.fhir.elements import reference, resource
from screening.interop.fhir.resources import KINDS
from screening.models import Patient

BASE = "/fhir/R4"


class FhirView(APIView):
    scope_resource = "fhir"
    permission_classes = [HasScope]
    renderer_classes = [FhirJSON]
    content_negotiation_class = FhirNegotiation
    http_method_names = ["get", "head"]
    schema = None  # described by its own CapabilityStatement
    resource_types = (*KINDS, "Binary")  # what SMART's scopes name

    @property
    def user(self) -> User:
        return cast(User, self.request.user)

    @property
    def base(self) -> str:
        return self.request.build_absolute_uri(BASE)

    def kinds(self, interaction: str) -> frozenset[str]:
        """The kinds of resources that the caller's scopes let it read or search."""
        credential: Any = self.request.auth
        kinds = credential and credential.fhir_kinds(interaction)
        return frozenset(self.resource_types) if kinds is None else kinds

    def require_kind(self, kind: str, interaction: str) -> None:
        if kind not in self.kinds(interaction):
            raise MissingScope(f"system/{kind}.{interaction}")

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Any]:
        return handler


class CapabilityView(FhirView):
    """Public, so that clients can find out how to begin."""

    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        return Response(capability.statement(self.base))


class SmartView(FhirView):
    """What a client reads before it requests a token. Public too."""

    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        return Response(discovery.smart())

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """The document is not a resource, so it is JSON, whatever is accepted."""
        return JSONRenderer(), JSONRenderer.media_type


class SearchView(FhirView):
    def get(self, request: Request, kind: str) -> Response:
        return self.found(kind, [*request.query_params.lists()])

    def found(self, kind: str, query: list[tuple[str, list[str]]]) -> Response:
        """What is searched for, with what it includes of the kinds that the caller may read."""
        _require_kind(kind)
        self.require_kind(kind, SEARCH)
        asked = search.ask(kind, query, strict=is_strict(self.request))
        for name, _, _ in asked.criteria:
            if "." in name:  # it reveals something about the patient
                self.require_kind("Patient", SEARCH)
        found = search.find(kind, asked, self.user, self.base, self.kinds(READ))
        return Response(bundles.searchset(kind, asked, found, self.base))


class PostedSearchView(SearchView):
    """``POST …/_search``: the parameters in the body, as a form, or in the query string."""

    http_method_names = ["post"]
    reading_methods = ("POST",)
    parser_classes = [FormParser]

    def post(self, request: Request, kind: str) -> Response:
        return self.found(kind, [*request.query_params.lists(), *_form(request.data)])


class ReadView(FhirView):
    def get(self, request: Request, kind: str, pk: str) -> Response:
        _require_kind(kind)
        self.require_kind(kind, READ)
        found = search.read(kind, pk, self.user, self.base)
        if found is None:
            raise Http404
        return Response(summaries.subset(request.query_params.lists()).of(found))


class EverythingView(FhirView):
    """By GET, or by POST with a Parameters resource."""

    http_method_names = ["get", "head", "post"]
    reading_methods = ("POST",)
    parser_classes = [FhirJSONParser, JSONBody]

    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        return self._answer(request, pk, [*request.query_params.lists()])

    def post(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        query = [*request.query_params.lists(), *_parameters(request.data)]
        return self._answer(request, pk, query)

    def _answer(
        self, request: Request, pk: UUID, query: list[tuple[str, list[str]]]
    ) -> StreamingHttpResponse:
        self.require_kind("Patient", READ)
        patient = get_object_or_404(Patient.objects.visible_to(self.user), pk=pk)
        parts = bundles.everything(
            patient,
            query,
            self.user,
            self.base,
            self.kinds(READ),
            strict=is_strict(request),
        )
        return StreamingHttpResponse(parts, content_type=CONTENT_TYPE)


class BinaryView(FhirView):
    """A picture: the file itself, or wrapped in a resource if FHIR JSON is requested."""

    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        self.require_kind("Binary", READ)
        if not wants_resource(request):
            rendition = delivery.Rendition.IMAGE
            return delivery.deliver(request=request, user=self.user, pk=pk, rendition=rendition)
        image = delivery.looked_at(user=self.user, pk=pk)
        return Response(
            resource(
                "Binary",
                image.pk,
                contentType=media.content_type(image),
                securityContext=reference("Media", image.pk),
                data=b64encode(delivery.picture_of(image)).decode(),
            )
        )

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """An <img> does not accept JSON; it gets JSON only for errors."""
        return FhirJSON(), FhirJSON.media_type


def _form(body: Any) -> list[tuple[str, list[str]]]:
    """The (name, values) of a form; an empty body is none."""
    return list(body.lists()) if body else []


def _parameters(body: Any) -> list[tuple[str, list[str]]]:
    """The (name, values) of a Parameters resource. Raises SearchError."""
    if not body:
        return []
    parts = body.get("parameter", []) if isinstance(body, dict) else None
    if not isinstance(parts, list) or body.get("resourceType") != "Parameters":
        raise SearchError("The body of an operation is a Parameters resource.")
    named: dict[str, list[str]] = {}
    for part in parts:
        values = (
            [text for key, text in part.items() if key.startswith("value")]
            if isinstance(part, dict)
            else []
        )
        if (
            len(values) != 1
            or not isinstance(values[0], str | int | float)
            or not isinstance(part.get("name"), str)
        ):
            raise SearchError("Each parameter has a name and one value, a text or a number.")
        named.setdefault(part["name"], []).append(str(values[0]))
    return list(named.items())


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        raise Http404
