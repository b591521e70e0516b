"""Pages of patients: the list, one patient with all lesions, creating, editing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from screening import write_access
from screening.body_map import queries as body_map_queries
from screening.charts.patient import lesions_over_time
from screening.corrections import queries
from screening.models import (
    Alert,
    Consent,
    DoctorVisit,
    Erasure,
    Histology,
    Lesion,
    LesionImage,
    Patient,
)
from screening.predictions import ugly_duckling
from screening.privacy import consents
from screening.records import queries as record_queries
from screening.records import services as record_services
from screening.records import timeline
from screening.web.forms.records import NewPatientForm, PatientForm
from screening.web.forms.submit import submit
from screening.web.views.corrections import leading_on
from screening.web.views.requests import UserRequest

PATIENTS_A_PAGE = 25
LESIONS_A_PAGE = 25
LESIONS_A_CHART = 20


@require_safe
def listing(request: UserRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip()
    found = record_queries.patients_overview(request.user)
    if search:
        found = found.search(search)
    page = Paginator(found, PATIENTS_A_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "screening/patients.html",
        {
            "page": page,
            "search": search,
            "adding": request.GET.get("add") == "image",
            "has_withdrawn": queries.withdrawn_patients(request.user).exists(),
        },
    )


@require_safe
def detail(request: UserRequest, pk: UUID) -> HttpResponse:
    """One patient's lesions, those that need attention first."""
    writable = Patient.objects.writable_by(request.user).filter(pk=OuterRef("pk"))
    visible = Patient.objects.visible_to(request.user).select_related("clinic")
    is_corrected = queries.is_corrected(Patient, request.user)
    consents_standing = Consent.objects.filter(patient=OuterRef("pk"), withdrawn_at=None)
    exportable = Patient.objects.exportable_by(request.user).filter(pk=OuterRef("pk"))
    reviewable = Patient.objects.reviewable_by(request.user).filter(pk=OuterRef("pk"))
    asked = Erasure.objects.open().filter(patient=OuterRef("pk"))
    found = visible.annotate(
        may_write=Exists(writable),
        may_export=Exists(exportable),
        may_conclude=Exists(reviewable),
        is_to_be_erased=Exists(asked),
        is_corrected=is_corrected,
        consented_at=Subquery(consents_standing.values("created")),
    )
    patient = found.filter(pk=pk).first()
    if patient is None:
        if Erasure.objects.visible_to(request.user).open().filter(patient=pk).exists():
            return redirect("erasures")
        return leading_on("patient", Patient, pk, request)
    search = request.GET.get("q", "").strip()
    lesions = body_map_queries.overview(patient, request.user)
    matching = _matching(patient, lesions, search)
    page = Paginator(matching, LESIONS_A_PAGE).get_page(request.GET.get("page"))
    listed = record_queries.attach_latest_images(list(page.object_list), request.user)
    points = body_map_queries.points(matching, listed)
    may_write: bool = patient.may_write
    return render(
        request,
        "screening/patient.html",
        {
            "patient": patient,
            "page": page,
            "search": search,
            "points": points,
            "legend": body_map_queries.legend(points),
            "unplaced": len(matching) - len(points),
            "ranking": ugly_duckling.ranking(patient, lesions, request.user),
            "may_write": may_write,
            "may_export": patient.may_export,
            "may_consent": consents.may_give(request.user, patient),
            "may_erase": patient.owner_id == request.user.pk or patient.may_conclude,
            "adding": may_write and request.GET.get("add") == "image",
            "add_image_url": f"{reverse('patient', args=[pk])}?add=image",
            "corrections": patient.is_corrected
            and queries.of_patient(patient, request.user)[: queries.SHOWN],
        },
    )


@require_safe
def over_time(request: UserRequest, pk: UUID) -> HttpResponse:
    """The timeline of all of a patient's lesions, those that need attention first."""
    visible = Patient.objects.visible_to(request.user).select_related("clinic")
    patient = get_object_or_404(visible, pk=pk)
    has_image = Exists(LesionImage.objects.filter(lesion=OuterRef("pk")))
    keys = record_queries.keys_by_severity(patient.lesions.filter(has_image), request.user)
    page: Page[Any] = Paginator(keys, LESIONS_A_CHART).get_page(request.GET.get("page"))
    lesions = record_queries.with_keys(list(page.object_list), request.user)
    images = record_queries.images_of(lesions, request.user)
    alerts = Alert.objects.visible_to(request.user).filter(lesion__in=lesions)
    events = timeline.events(
        lesions,
        images,
        record_queries.closed_by_acts(alerts.select_related("later"), request.user),
        Histology.objects.visible_to(request.user).standing().filter(lesion__in=lesions),
        DoctorVisit.objects.standing().filter(lesion__in=lesions),
        request.user,
    )
    chart = lesions_over_time(lesions, timeline.readings(images), events) if lesions else None
    return render(
        request,
        "screening/patient_timeline.html",
        {
            "patient": patient,
            "page": page,
            "lesions": lesions,
            "chart": chart,
        },
    )


def _matching(patient: Patient, lesions: list[Lesion], search: str) -> list[Lesion]:
    if not search:
        return lesions
    matching = set(patient.lesions.search(search).values_list("pk", flat=True))
    return [lesion for lesion in lesions if lesion.pk in matching]


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: UserRequest) -> HttpResponse:
    """After creating their own record, users continue to its first lesion."""
    form = NewPatientForm(request.POST or None, user=request.user)
    if request.method == "POST":
        patient = submit(form, record_services.register_patient, user=request.user)
        if patient is not None:
            return redirect("lesion_new" if patient.owner_id else "patient", patient.pk)
    return render(request, "screening/patient_form.html", {"form": form})


@require_POST
def research(request: UserRequest, pk: UUID) -> HttpResponse:
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    change = consents.give if request.POST.get("consents") == "yes" else consents.withdraw
    change(user=request.user, patient=patient)
    messages.success(request, "The consent is saved.")
    return redirect("patient", pk)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: UserRequest, pk: UUID) -> HttpResponse:
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    write_access.require_writable(user=request.user, patient=patient)
    form = PatientForm(request.POST or None, record=patient)
    if request.method == "POST":
        saved = submit(form, record_services.edit_patient, user=request.user, patient=patient)
        if saved is not None:
            return redirect("patient", pk)
    return render(request, "screening/patient_form.html", {"form": form, "patient": patient})
