"""DICOMweb (PS3.18). ``screening.interop.dicomweb`` decides who sees what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, starmap
from typing import Any, TypeVar, cast

from django.http import Http404, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User
from accounts.scope_permission import HasScope, may_read
from screening.api.dicomweb import multipart
from screening.api.dicomweb.negotiation import Accepted, accepted
from screening.api.http.idempotency import RetrySafe
from screening.api.http.known import QueryError
from screening.api.http.negotiation import Negotiation
from screening.images import delivery
from screening.interop.dicom import readings, writer
from screening.interop.dicom.uids import Document
from screening.interop.dicomweb import keys, retrieval, search, storage, stored
from screening.models import LesionImage, Prediction

Response = TypeVar("Response", bound=HttpResponseBase)

BASE = "/dicomweb"
DICOM, JSON, OCTETS = "application/dicom", "application/dicom+json", "application/octet-stream"
TEXT = (JSON, "application/json")
ONLY_JSON = f"Metadata and results of a search are {JSON}."
ONLY_THESE = (
    f"Instances are multipart/related of {DICOM}, in Explicit VR Little Endian or, what is stored "
    "as JPEG, JPEG Baseline."
)
ONLY_FRAMES = f"Frames are multipart/related of {OCTETS} or, what is stored as JPEG, image/jpeg."
ONLY_RENDERED = "Renderings are image/jpeg or image/png."
LITERAL = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
MORE = (
    "The number of results exceeded the maximum supported by the server. Additional results can be "
    "requested."
)
LEFT_OUT = "What is stored of {} of these instances cannot be opened. They are left out."
MAX_SIDE = 10_000


class _Negotiation(Negotiation):
    """Each view negotiates its own media types. Errors are JSON, whatever is accepted."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class DicomWebView(APIView):
    scope_resource = "images"
    permission_classes = [HasScope]
    content_negotiation_class = _Negotiation
    http_method_names = ["get", "head"]
    schema = None  # described by its conformance statement, docs/interop.md

    @property
    def user(self) -> User:
        return cast(User, self.request.user)

    @property
    def base(self) -> str:
        return self.request.build_absolute_uri(BASE)

    @property
    def tells(self) -> list[str]:
        return [resource for resource in writer.ABOUT if may_read(self.request, resource)]

    @property
    def tells_readings(self) -> bool:
        return may_read(self.request, "predictions")

    def found(self, **names: str) -> retrieval.Instances:
        """The instances in the address. Raises Http404 if there are none."""
        return retrieval.instances(user=self.user, tells_readings=self.tells_readings, **names)


class SearchView(DicomWebView):
    level = ""

    def get(self, request: Request, study: str = "", series: str = "") -> HttpResponse:
        _require_json(request)
        query = [pair for pair in request.query_params.lists() if pair[0] != "accept"]
        asked = keys.ask(self.level, query)
        within = search.Within(study, series)
        scope = search.Scope(self.user, self.tells, self.tells_readings, self.base)
        if study:
            retrieval.require(
                user=self.user, tells_readings=self.tells_readings, **within._asdict()
            )
        found = search.find(self.level, asked, within, scope)
        warnings = [LITERAL] * asked.fuzzy + [MORE] * found.is_cut
        response = _json(found.results)
        return _warned(request, response, warnings)


class StoreView(RetrySafe, DicomWebView):
    """Takes instances: of any studies, or of the one in its address."""

    http_method_names = ["get", "head", "post"]
    parser_classes = [multipart.Instances, multipart.Instance]
    in_one_transaction = False  # instances are independent, and recognised when sent again

    def post(self, request: Request, study: str = "") -> HttpResponse:
        """The result for each instance (PS3.18, 10.5.3): 202 if any is stored, else 409. It is
        never 200, because each stored instance has a warning.
        """
        _require_json(request)
        files = cast(dict[str, Any], request.data).get(multipart.INSTANCES)
        if not files:
            raise exceptions.ParseError("There is no instance in the body.")

        def may_add(resource: str) -> bool:
            credential: Any = request.auth
            return credential is None or bool(credential.allows(f"{resource}:write"))

        sender = storage.Sender(self.user, may_add)
        sent = storage.store(sender=sender, files=files, study=study)
        self.keeps_response = not any(one.reason == storage.Reason.NO_RESOURCES for one in sent)
        status = 202 if any(one.image for one in sent) else 409
        return _json(stored.told(sent, self.base), status=status)


class StudiesView(StoreView, SearchView):
    level = "studies"


class InstancesView(DicomWebView):
    """The instances of a study or a series, or one of them."""

    def get(self, request: Request, **names: str) -> HttpResponseBase:
        found, lost = self.found(**names), 0
        wanted = accepted(request)
        is_one = "instance" in names
        if not is_one:
            found, lost = retrieval.whole(found)
        chosen = [_choice(wanted, partial(_embeds, image), is_one=is_one) for image in found.images]
        # A document has no other transfer syntax, whatever is accepted.
        chosen += [_choice(wanted, lambda syntax: True, is_one=is_one) for _ in found.documents]
        parts = chain(
            map(self._part, found.images, chosen), starmap(self._document, found.documents)
        )
        if not is_one:
            warnings = [LEFT_OUT.format(lost)] if lost else []
            return _warned(request, multipart.answer(DICOM, parts), warnings)
        # Report a lost picture before the first byte is sent.
        part = content_type, data = next(parts)
        if chosen[0].is_multipart:
            return multipart.answer(DICOM, [part])
        return HttpResponse(data, content_type=content_type, headers=multipart.NO_STORE)

    def _document(self, reading: Prediction, document: Document) -> tuple[str, bytes]:
        data = readings.to_dicom(reading, document, self.tells)
        return f"{DICOM}; transfer-syntax={writer.EXPLICIT}", data

    def _part(self, image: LesionImage, chosen: Accepted) -> tuple[str, bytes]:
        plain = not _embeds(image, chosen.syntax)
        data = writer.to_dicom(image, delivery.picture_of(image), self.tells, plain=plain)
        return f"{DICOM}; transfer-syntax={writer.syntax_of(image, plain=plain)}", data


class StudyView(StoreView, InstancesView):
    pass


class MetadataView(DicomWebView):
    def get(self, request: Request, **names: str) -> HttpResponse:
        _require_json(request)
        found, lost = self.found(**names), 0
        if "instance" not in names:
            found, lost = retrieval.whole(found)
        told = [
            writer.metadata(
                image, retrieval.stored_bytes(image), self.tells, plain=True
            ).to_json_dict()
            for image in found.images
        ]
        told += [
            readings.without_pixels(readings.dataset(*one, self.tells)).to_json_dict()
            for one in found.documents
        ]
        return _warned(request, _json(told), [LEFT_OUT.format(lost)] if lost else [])


class FramesView(DicomWebView):
    """The frames of a picture: always one."""

    def get(self, request: Request, frames: str, **names: str) -> HttpResponseBase:
        image = retrieval.images(user=self.user, **names)[0]
        if set(frames.split(",")) != {"1"}:
            raise Http404
        for one in accepted(request):
            if one.takes(OCTETS) and one.syntax in ("", "*", writer.EXPLICIT):
                part = OCTETS, writer.values(image, delivery.picture_of(image))
            elif one.takes(retrieval.JPEG) and _embeds(image, one.syntax or "*"):
                part = retrieval.JPEG, delivery.picture_of(image)
            else:
                continue
            if one.is_multipart or one.media_type == "*/*":
                return multipart.answer(part[0], [part])
            return HttpResponse(part[1], content_type=part[0], headers=multipart.NO_STORE)
        raise exceptions.NotAcceptable(ONLY_FRAMES)


class RenderedView(DicomWebView):
    def get(self, request: Request, frames: str = "1", **names: str) -> HttpResponse:
        wanted = _rendering(request)
        image = retrieval.images(user=self.user, **names)[0]
        if frames != "1":
            raise Http404
        data = retrieval.rendered(image, wanted)
        return HttpResponse(data, content_type=wanted.media_type, headers=multipart.NO_STORE)


def _warned(request: Request, response: Response, warnings: list[str]) -> Response:
    if warnings:
        response.headers["Warning"] = ", ".join(
            f'299 {request.get_host()} "{text}"' for text in warnings
        )
    return response


def _json(told: Any, status: int = 200) -> JsonResponse:
    headers = multipart.NO_STORE
    return JsonResponse(told, safe=False, status=status, content_type=JSON, headers=headers)


def _require_json(request: Request) -> None:
    if not any(
        one.takes(kind) and not one.is_multipart for one in accepted(request) for kind in TEXT
    ):
        raise exceptions.NotAcceptable(ONLY_JSON)


def _embeds(image: LesionImage, syntax: str) -> bool:
    """Whether it is sent as the stored JPEG. Without a transfer syntax, the default of PS3.18,
    8.7.3.5.2 applies: Explicit VR Little Endian.
    """
    return writer.is_jpeg(image) and syntax in ("*", writer.JPEG)


def _choice(wanted: list[Accepted], embeds: Callable[[str], bool], *, is_one: bool) -> Accepted:
    """The first accepted type in which an instance can be sent. embeds: whether it can be in a
    transfer syntax other than the default. Raises NotAcceptable.
    """
    for one in wanted:
        whole = one.is_multipart or one.media_type == "*/*"
        if not one.takes(DICOM) or not (whole or is_one):
            continue
        if one.syntax in ("", "*", writer.EXPLICIT) or embeds(one.syntax):
            return Accepted(DICOM, whole, one.syntax)
    raise exceptions.NotAcceptable(ONLY_THESE)


def _rendering(request: Request) -> retrieval.Rendering:
    told = request.query_params
    if unknown := set(told) - {"accept", "quality", "viewport"}:
        raise QueryError(dict.fromkeys(unknown, "Of a rendering there are quality and viewport."))
    for one in accepted(request):
        for media_type in retrieval.RENDERED:
            if one.takes(media_type) and not one.is_multipart:
                return retrieval.Rendering(
                    media_type,
                    quality=next(_numbers(told, "quality", 1, 100), 90),
                    size=_size(told),
                )
    raise exceptions.NotAcceptable(ONLY_RENDERED)


def _size(told: Any) -> tuple[int, int] | None:
    if "viewport" not in told:
        return None
    width, height = _numbers(told, "viewport", 2, MAX_SIDE)
    return width, height


def _numbers(told: Any, name: str, count: int, most: int) -> Iterator[int]:
    """The integers of a parameter, from 1 to ``most``; empty without the parameter."""
    text = told.get(name)
    if text is None:
        return
    parts = text.split(",")
    if len(parts) != count or not all(
        re.fullmatch(r"\d{1,6}", part) and 1 <= int(part) <= most for part in parts
    ):
        words = "A whole number" if count == 1 else f"{count} whole numbers"
        raise QueryError({name: f"{words} from 1 to {most}."})
    yield from map(int, parts)
