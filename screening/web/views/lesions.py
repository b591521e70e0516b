"""Pages of one lesion: its images over time, opening, editing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from screening import write_access
from screening.body_map import services as body_map_services
from screening.charts.lesion import reading_over_time
from screening.charts.measures import measures_over_time
from screening.comparisons import presenters as comparison_presenters
from screening.corrections import queries
from screening.interop.dicomweb import sending
from screening.models import Alert, Histology, Lesion, LesionImage, Patient, Reminder
from screening.predictions import advice, succession
from screening.predictions.outcomes import Standing
from screening.predictions.queries import latest_attempt
from screening.records import closing, services, timeline, visits
from screening.records import queries as record_queries
from screening.reminders import suggestions
from screening.web.forms.dicom_nodes import SendForm
from screening.web.forms.positions import NewLesionForm
from screening.web.forms.records import LesionForm, VisitForm
from screening.web.forms.reminders import ReminderForm
from screening.web.forms.submit import submit
from screening.web.views.corrections import leading_on
from screening.web.views.requests import UserRequest


@require_safe
def detail(request: UserRequest, pk: UUID) -> HttpResponse:
    """All images by day of capture, their outcomes and measurements, and what people recorded."""
    visible = Lesion.objects.visible_to(request.user).with_rights(request.user)
    is_corrected = queries.is_corrected(Lesion, request.user)
    found = record_queries.with_visits_and_histologies(
        visible.select_related("patient__clinic", "reminder")
    )
    found = found.annotate(
        is_corrected=is_corrected, is_sent=sending.is_sent(), has_nodes=sending.has_nodes()
    )
    lesion = found.filter(pk=pk).first()
    if lesion is None:
        return leading_on("lesion", Lesion, pk, request)
    images = record_queries.timeline(lesion, request.user)
    alerts = record_queries.alerts_of(lesion, request.user, images)
    histologies = record_queries.histologies_of(lesion, request.user)
    standing = record_queries.standing_of(lesion, images, histologies)
    events = timeline.events([lesion], images, alerts, histologies, standing.visits, request.user)
    told, measured = timeline.readings(images), timeline.measurements(images)
    # A curve needs two days: one day needs no chart.
    is_course = len({image.captured_on for image in images}) > 1
    read = any(one.outcome for one in told)
    readings = [latest_attempt(image) for image in images]
    may_enter_visit = lesion.may_write and visits.is_own(request.user, lesion.patient)
    words = advice.FOR_CLINICIAN if lesion.may_review else advice.FOR_PERSON
    return render(
        request,
        "screening/lesion.html",
        {
            "lesion": lesion,
            "patient": lesion.patient,
            "images": images,
            "chart": reading_over_time(told, events) if is_course and (read or events) else None,
            "measures_chart": measures_over_time(measured, events)
            if is_course and measured
            else None,
            "since": comparison_presenters.since_last(images, alerts) if images else None,
            "is_reading": any(reading is not None and reading.is_active for reading in readings),
            "alerts": alerts,
            "may_write": lesion.may_write,
            "histologies": histologies,
            "standing": standing,
            "advice": advice.of_lesion(lesion, standing, words),
            "visits": standing.visits,
            "other_visits": [one for one in standing.visits if one not in standing.settled],
            "was_graver": succession.was_graver(images),
            "may_enter_visit": may_enter_visit,
            "is_told_to_see_doctor": may_enter_visit and standing.is_grave and not lesion.is_closed,
            "concluded": standing.concluded and standing.concluded.image,
            "may_review": lesion.may_review,
            "positions": lesion.positions.select_related("placed_by"),
            "add_image_url": reverse("image_new", args=[pk]),
            "corrections": lesion.is_corrected
            and queries.of_lesion(lesion, request.user)[: queries.SHOWN],
            **_sending(request, lesion),
            **_reminder(lesion, images, standing, alerts, histology=next(iter(histologies), None)),
        },
    )


def _sending(request: UserRequest, lesion: Any) -> dict[str, Any]:
    """The context of ``partials/sending.html``."""
    may_send = lesion.may_write and lesion.has_nodes
    return {
        "send_form": SendForm(user=request.user, lesion=lesion) if may_send else None,
        "sent": sending.sent_of(lesion) if lesion.is_sent else [],
    }


def _reminder(
    lesion: Lesion,
    images: list[LesionImage],
    standing: Standing,
    alerts: list[Alert],
    *,
    histology: Histology | None,
) -> dict[str, Any]:
    """The context of ``partials/reminder.html``: the current reminder, and a suggestion."""
    reminder: Reminder | None = getattr(lesion, "reminder", None)
    is_open = any(alert.is_open for alert in alerts)
    suggestion = suggestions.suggest(images, standing, has_open_alert=is_open, histology=histology)
    months = suggestion.interval_months
    if reminder is not None and reminder.is_active:
        months = reminder.interval_months
    return {
        "reminder": reminder,
        "suggestion": suggestion,
        "reminder_form": ReminderForm(record=lesion, initial={"interval_months": months}),
    }


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: UserRequest, pk: UUID) -> HttpResponse:
    """After creating a lesion, continue to adding its first image."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    write_access.require_writable(user=request.user, patient=patient)
    form = NewLesionForm(request.POST or None, initial=NewLesionForm.initial_by(request.GET))
    if request.method == "POST":
        lesion = submit(form, body_map_services.open_lesion, user=request.user, patient=patient)
        if lesion is not None:
            return redirect("image_new", lesion.pk)
    return render(request, "screening/lesion_form.html", {"form": form, "patient": patient})


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: UserRequest, pk: UUID) -> HttpResponse:
    lesion = _visible(request, pk)
    write_access.require_writable(user=request.user, patient=lesion.patient)
    form = LesionForm(request.POST or None, record=lesion)
    # An existing lesion keeps a label; only a new one may be left to be numbered.
    form.fields["label"].required = True
    if request.method == "POST":
        saved = submit(form, closing.edit_lesion, user=request.user, lesion=lesion)
        if saved is not None:
            return redirect("lesion", pk)
    return render(
        request,
        "screening/lesion_form.html",
        {
            "form": form,
            "patient": lesion.patient,
            "lesion": lesion,
            "stays_marked": not services.may_unmark(request.user, lesion),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def visit(request: UserRequest, pk: UUID) -> HttpResponse:
    lesion = _visible(request, pk)
    if not visits.may_record(request.user, lesion.patient):
        raise PermissionDenied(visits.ONLY_ONES_OWN)
    entered = record_queries.entered_visits(lesion)
    standing = [visit for visit in entered if not hasattr(visit, "superseded_by")]
    form = VisitForm(
        request.POST or None,
        lesion=lesion,
        user=request.user,
        standing=standing,
        initial=VisitForm.initial_by(request.GET.get("corrects", ""), standing),
    )
    if request.method == "POST":
        recorded = submit(form, visits.record_visit, user=request.user, lesion=lesion)
        if recorded is not None:
            messages.success(request, "The visit is saved.")
            return redirect("lesion", pk)
    return render(
        request,
        "screening/visit_form.html",
        {"form": form, "patient": lesion.patient, "lesion": lesion, "visits": entered},
    )


@require_POST
def reopen(request: UserRequest, pk: UUID) -> HttpResponse:
    closing.reopen(user=request.user, lesion=_visible(request, pk))
    return redirect("lesion", pk)


def _visible(request: UserRequest, pk: UUID) -> Lesion:
    lesions = Lesion.objects.visible_to(request.user).select_related("patient__clinic")
    return get_object_or_404(lesions, pk=pk)
