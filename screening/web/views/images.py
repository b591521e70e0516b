"""Pages of one image: upload, result, status while it is read, review."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from ml.opening.limits import IN_BYTES, MAX_BYTES
from screening import write_access
from screening.errors import Unreadable
from screening.measurements.presenters import measured_in
from screening.measurements.queries import last_tried
from screening.models import (
    Lesion,
    LesionImage,
    Outcome,
    Prediction,
    PredictionMaps,
    State,
)
from screening.predictions import advice, explanation, overlays, similar_cases
from screening.predictions import services as prediction_services
from screening.predictions.queries import counting_reading, latest_attempt
from screening.records import queries as record_queries
from screening.reviews import services as review_services
from screening.web import form_tokens, uploads
from screening.web.forms.images import ImageForm
from screening.web.forms.reviews import ReviewForm
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest

logger = logging.getLogger(__name__)

# After this long the page says that reading takes longer than usual.
SLOW = timedelta(seconds=10)
MEASURING = timedelta(minutes=2)
"""How long after its reading or a new outline a picture's measurement is still expected."""


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: UserRequest, pk: UUID) -> HttpResponse:
    """Add pictures to a lesion. The page's script sends them one by one and asks for JSON; without
    it the same form sends all at once.
    """
    lesions = Lesion.objects.visible_to(request.user).select_related("patient__clinic")
    lesion = get_object_or_404(lesions, pk=pk)
    write_access.require_writable(user=request.user, patient=lesion.patient)
    form = ImageForm(request.POST or None, request.FILES or None)
    results: list[uploads.Result] = []
    if request.method == "POST" and form.is_valid():
        results = uploads.add_all(user=request.user, lesion=lesion, form=form)
    wants_json = request.get_preferred_type(["text/html", "application/json"]) == "application/json"
    if request.method == "POST" and wants_json:
        return uploads.as_json(form, results)
    for result in results:
        if result.is_new and result.message:
            messages.info(request, f"{result.name}: {result.message}")
    if results and all(result.image for result in results):
        return _after_all(request, lesion, results)
    return render(
        request,
        "screening/image_form.html",
        {
            "form": form,
            "lesion": lesion,
            "patient": lesion.patient,
            "results": results,
            "asks_again": any(result.elsewhere for result in results),
            "guide": lesion.images.latest_first().first(),
            "max_bytes": MAX_BYTES,
            "in_bytes": IN_BYTES,
        },
    )


def _after_all(request: UserRequest, lesion: Lesion, results: list[uploads.Result]) -> HttpResponse:
    for result in results:
        if not result.is_new:
            messages.info(request, f"{result.name}: {result.message}")
    if len(results) == 1 and results[0].image:
        return redirect("image", results[0].image.pk)
    return redirect("lesion", lesion.pk)


@require_safe
def detail(request: UserRequest, pk: UUID) -> HttpResponse:
    image = _visible(request, pk)
    typed = form_tokens.typed(request, reverse("image_review", args=[pk]))
    return _result_page(request, image, review_form(request, image, typed))


@require_safe
def status(request: UserRequest, pk: UUID) -> HttpResponse:
    """The part of the result page that changes; 204 if it has not, so that nothing flickers and
    screen readers announce it once.
    """
    image = _visible(request, pk)
    reading = _reading(image, may_review=image.may_review)
    if reading["stage"] == request.GET.get("stage"):
        return HttpResponse(status=204)
    return render(request, "screening/partials/status.html", reading | _overlays(request, reading))


@require_POST
def read_again(request: UserRequest, pk: UUID) -> HttpResponse:
    image = _visible(request, pk)
    prediction_services.request_prediction(user=request.user, image=image)
    return redirect("image", pk)


@require_POST
def review(request: UserRequest, pk: UUID) -> HttpResponse:
    image = _visible(request, pk)
    review_services.require_reviewer(request.user, image.lesion.patient)
    form = review_form(request, image, request.POST)
    if submit(form, review_services.record_review, user=request.user, image=image):
        messages.success(request, "Your conclusion is recorded.")
        return redirect(f"{reverse('image', args=[pk])}#reviews")
    return _result_page(request, image, form)


def review_form(
    request: UserRequest,
    image: LesionImage,
    typed: QueryDict | None,
    shown_at: datetime | None = None,
) -> ReviewForm:
    return ReviewForm(
        typed,
        lesion=image.lesion,
        user=request.user,
        image=image,
        shown_at=shown_at,
        replaceable=review_services.replaceable(user=request.user, image=image),
        symptoms=image.lesion.symptoms_now,
    )


def _visible(request: UserRequest, pk: UUID) -> LesionImage:
    images = LesionImage.objects.visible_to(request.user).with_rights(request.user)
    found = record_queries.with_findings(
        images.select_related("lesion__patient__clinic"), request.user
    )
    found = record_queries.with_measures(found, request.user)
    found = record_queries.with_standing_reading(found, request.user)
    return get_object_or_404(found, pk=pk)


def _result_page(request: UserRequest, image: LesionImage, form: ReviewForm) -> HttpResponse:
    patient = image.lesion.patient
    may_review: bool = image.may_review
    reading = read_in(request, image, may_review=may_review)
    is_drawn_anew = _is_drawn_anew(image)
    measured = None if is_drawn_anew else measured_in(image)
    return render(
        request,
        "screening/image.html",
        reading
        | {
            "lesion": image.lesion,
            "patient": patient,
            "form": form,
            "measured": measured,
            "measures_to_come": measured is None and (is_drawn_anew or _measures_come(reading)),
            "standing": record_queries.standing_beside(image),
            "previous": record_queries.previous(image),
            "histology": next(
                iter(record_queries.histologies_of(image.lesion, request.user)), None
            ),
            "may_review": may_review,
            "add_image_url": reverse("image_new", args=[image.lesion_id]),
        },
    )


def _is_drawn_anew(image: LesionImage) -> bool:
    """Whether the image is about to be measured within an outline drawn just now."""
    drawn, last = image.outlines.first(), last_tried(image)
    if drawn is None or timezone.now() - drawn.created > MEASURING:
        return False
    return last is None or last.outline_id != drawn.pk


def _measures_come(reading: dict[str, Any]) -> bool:
    """Whether the image is about to be measured: it is being read, or its lesion was just found."""
    latest: Prediction | None = reading["latest"]
    if latest is None or reading["image"].is_withheld:
        return False
    if latest.is_active:
        return True
    if latest.state != State.SUCCEEDED or latest.outcome == Outcome.NOT_ASSESSABLE:
        return False
    return latest.finished_at is not None and timezone.now() - latest.finished_at < MEASURING


def read_in(request: UserRequest, image: LesionImage, *, may_review: bool) -> dict[str, Any]:
    """The reading and overlays that pages show for an image ``with_findings`` and ``with_rights``.
    may_review: use the wording for clinicians.
    """
    reading = _reading(image, may_review=may_review)
    return reading | _overlays(request, reading)


def _reading(image: LesionImage, *, may_review: bool) -> dict[str, Any]:
    """The context of ``partials/prediction_status.html``. ``finished`` is the reading that counts:
    it stays visible while a later one waits, runs or has failed. ``differing``: what was corrected
    since it was made.
    """
    latest, finished = latest_attempt(image), counting_reading(image)
    slow = latest is not None and latest.is_active and timezone.now() - latest.created > SLOW
    words = advice.FOR_CLINICIAN if may_review else advice.FOR_PERSON
    return {
        "image": image,
        "latest": latest,
        "finished": finished,
        "advice": advice.advise(finished, words) if finished else None,
        "explanation": explanation.explain(finished) if finished else None,
        "differing": explanation.differing(finished) if finished else "",
        "told_before": explanation.told_before(image),
        "is_told_person": not may_review,
        "is_slow": slow,
        "stage": f"{latest.pk}-{latest.state}{'-slow' if slow else ''}" if latest else "",
        "may_write": image.may_write,
        "not_assessable": Outcome.NOT_ASSESSABLE,
    }


def _overlays(request: UserRequest, reading: dict[str, Any]) -> dict[str, Any]:
    """The context of ``partials/overlays.html`` and, for clinicians, of
    ``partials/similar_cases.html``: empty without a class.
    """
    maps, finished = None, reading["finished"]
    if reading["explanation"]:
        maps = PredictionMaps.objects.visible_to(request.user).filter(prediction=finished).first()
    found: dict[str, Any] = {"overlays": None}
    if maps is None:
        return found
    try:
        found["overlays"] = overlays.overlays_of(maps)
        if not reading["is_told_person"]:
            found["similar"] = similar_cases.similar(maps, finished.model_version)
    except Unreadable as error:  # the outcome is shown nevertheless
        logger.warning("prediction %s: its maps cannot be opened: %s", finished.pk, error)
        found["is_unreadable"] = True
    return found
