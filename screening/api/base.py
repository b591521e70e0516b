"""The base of the API's views: access, retries, conditional requests, and the form of responses."""

from __future__ import annotations

from typing import Any, cast

from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework import mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.scope_permission import HasScope
from screening.api import filters
from screening.api.http.conditions import etag_of, is_known, require_match
from screening.api.http.idempotency import RetrySafe
from screening.api.http.known import QueryError
from screening.api.http.parsers import JSONBody
from screening.api.http.schema import RecordSchema
from screening.api.http.shape import PARAMETERS, shaped
from screening.write_access import lock


class RecordView(RetrySafe):
    """A single API endpoint. Set its ``scope_resource``."""

    permission_classes = [HasScope]
    parser_classes = [JSONBody]
    schema = RecordSchema()

    @property
    def user(self) -> User:
        """The owner of the key or session: ``HasScope`` rejects anonymous requests."""
        return cast(User, self.request.user)


def accepted(shown: dict[str, Any], *, poll_after: str | None = None) -> Response:
    """202 for work that goes on: the record that shows it, and where to look again."""
    headers = {"Location": str(shown["url"])}
    if poll_after:
        headers["Retry-After"] = poll_after
    return Response(shown, status.HTTP_202_ACCEPTED, headers=headers)


class PictureOrProblem:
    """An <img> does not accept JSON, so content negotiation does not apply. Errors are JSON."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return super().perform_content_negotiation(request, force=True)  # type: ignore[misc]


class ReadViewSet(
    RecordView, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Any]
):
    """expandable: by field, the view of the record that ``expand`` inserts instead of the
    identifier.
    """

    filter_backends = [filters.StrictFilterBackend]
    http_method_names = ["get", "head", "post", "patch"]
    lookup_value_converter = "uuid"
    expandable: dict[str, type[ReadViewSet]] = {}

    def get_object(self) -> Any:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        response.data["results"] = shaped(self, request, response.data["results"])
        return response

    def moved_to(self) -> str | None:
        """The URL of the record that a missing one was merged into."""
        return None

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        if unknown := set(request.query_params) - set(PARAMETERS):
            known = " and ".join(PARAMETERS)
            raise QueryError(dict.fromkeys(unknown, f"Of one record there are {known}."))
        try:
            record = self.get_object()
        except Http404:
            if (address := self.moved_to()) is None:
                raise
            # Resolved on every request, because the two may be split again.
            headers = {"Location": address, "Cache-Control": "private, no-cache"}
            return Response(status=status.HTTP_301_MOVED_PERMANENTLY, headers=headers)
        data = self.get_serializer(record).data
        etag = etag_of(data)
        if is_known(request, etag):
            response: Any = HttpResponse(status=status.HTTP_304_NOT_MODIFIED)
        else:
            response = Response(shaped(self, request, [data])[0])
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, no-cache"
        return response


class RecordViewSet(mixins.CreateModelMixin, ReadViewSet):
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """200 instead of 201 if the record was known by its identifier."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self.perform_create(serializer)
        is_new = getattr(serializer, "is_new", True)
        response = Response(
            serializer.data, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        )
        response.headers["ETag"] = etag_of(response.data)
        if "url" in response.data:
            response.headers["Location"] = str(response.data["url"])
        return response

    def perform_create(self, serializer: Any) -> None:
        """Respond with the row as a list would show it, including annotations."""
        serializer.instance = self.get_queryset().get(pk=serializer.save().pk)


class EditableViewSet(mixins.UpdateModelMixin, RecordViewSet):
    perform_update = RecordViewSet.perform_create

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            self._lock(request)
            response = super().partial_update(request, *args, **kwargs)
        response.headers["ETag"] = etag_of(response.data)
        return response

    def _lock(self, request: Request) -> None:
        """Lock the row so that nobody changes it between the comparison and the change."""
        if "If-Match" in request.headers:
            lock(self.get_object())
            require_match(request, etag_of(self.get_serializer(self.get_object()).data))


class RemovableViewSet(mixins.DestroyModelMixin, EditableViewSet):
    """For settings, which can be deleted; clinical records cannot."""

    http_method_names = ["get", "head", "post", "patch", "delete"]
