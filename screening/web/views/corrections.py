"""Correction pages, one each for image, visit, histology, lesion and patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from screening import write_access
from screening.corrections import merges, moves, queries, services
from screening.corrections import undo as correction_undo
from screening.corrections.journal import require_author
from screening.formatting import clinical
from screening.images import delivery
from screening.models import (
    Correction,
    DoctorVisit,
    Following,
    Histology,
    Lesion,
    LesionImage,
    Patient,
)
from screening.models.visibility import PatientQuerySet
from screening.predictions.advice import act_found
from screening.records import visits
from screening.web.forms.corrections import (
    AT_ONCE,
    ImageDetailsForm,
    MergeLesionForm,
    MergePatientForm,
    MoveImageForm,
    MoveLesionForm,
    UndoForm,
    WithdrawForm,
)
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest

A_PAGE = 25
METHODS = ["GET", "HEAD", "POST"]


@dataclass(frozen=True)
class Act:
    """One kind of correction: its form, and the function it calls. then: the page afterwards."""

    name: str
    title: str
    about: str
    button: str
    form: forms.Form
    write: Callable[..., Any]
    done: str
    then: str
    nothing: str = ""  # why there is nothing to choose
    asks_patient: bool = False

    @property
    def is_grave(self) -> bool:
        return self.name == "withdraw"


@require_http_methods(METHODS)
def image(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = LesionImage.objects.visible_to(request.user)
    found = get_object_or_404(visible.select_related("lesion__patient__clinic"), pk=pk)
    patient = found.lesion.patient
    write_access.require_writable(user=request.user, patient=patient)
    others = _others(request, patient)
    asked = _uuid(request.GET.get("patient"))
    target = (others.filter(pk=asked).first() if asked else None) or patient
    lesions = target.lesions.exclude(pk=found.lesion_id)
    here = reverse("image", args=[pk])
    acts = [
        Act(
            "details",
            "The day or kind is wrong",
            "The pictures of a spot are ordered by their day.",
            "Save",
            ImageDetailsForm(_posted(request, "details"), auto_id="details_%s", record=found),
            lambda **fields: services.correct_image(user=request.user, image=found, **fields),
            "The picture is corrected.",
            here,
        ),
        Act(
            "move",
            "It shows another spot",
            f"It moves to another spot of “{target}”, with its readings and conclusions.",
            "Move the picture",
            MoveImageForm(
                _posted(request, "move"),
                auto_id="move_%s",
                lesions=lesions,
                findings=moves.findings_of(found.lesion.images.filter(pk=pk), request.user),
            ),
            lambda **fields: moves.move_image(user=request.user, image=found, **fields),
            "The picture is moved.",
            here,
            "" if lesions.exists() else f"“{target}” has no other spot.",
            asks_patient=True,
        ),
        _withdrawal(
            request,
            found,
            "It was entered in error",
            "Withdraw the picture: it no longer counts, and no outcome, report or export shows "
            "it. It is kept with your reason, and can be put back on the spot's page.",
            reverse("lesion", args=[found.lesion_id]),
        ),
    ]
    context = {"image": found, "lesion": found.lesion, "patient": patient, "target": target}
    return _page(request, acts, context | _choice(request, others))


@require_http_methods(METHODS)
def lesion(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = Lesion.objects.visible_to(request.user).select_related("patient__clinic")
    found = get_object_or_404(visible, pk=pk)
    patient = found.patient
    write_access.require_writable(user=request.user, patient=patient)
    others = _others(request, patient)
    findings = moves.findings_of(found.images.all(), request.user)
    acts = [
        Act(
            "merge",
            "It is the same spot as another one",
            "Everything recorded about it moves to the spot that you keep. Its old address leads "
            "there.",
            "Merge the two",
            MergeLesionForm(
                _posted(request, "merge"),
                auto_id="merge_%s",
                lesions=patient.lesions.exclude(pk=pk),
                findings=findings,
            ),
            lambda **fields: merges.merge_lesions(user=request.user, lesion=found, **fields),
            "The two spots are merged.",
            reverse("lesion", args=[pk]),
            "" if patient.lesions.count() > 1 else f"“{patient}” has no other spot.",
        ),
        Act(
            "move",
            "It belongs to another patient",
            "It moves there with its pictures, readings and conclusions.",
            "Move the spot",
            MoveLesionForm(
                _posted(request, "move"),
                auto_id="move_%s",
                patients=_offered(request, others),
                findings=findings,
            ),
            lambda **fields: moves.move_lesion(user=request.user, lesion=found, **fields),
            "The spot is moved.",
            reverse("lesion", args=[pk]),
            "" if others.exists() else "There is no other record.",
            asks_patient=True,
        ),
        _withdrawal(
            request,
            found,
            "It was entered in error",
            "Withdraw the spot with all its pictures: they no longer count, and no outcome, "
            "report or export shows them. They are kept with your reason, and can be put back on "
            "the patient's page.",
            reverse("patient", args=[patient.pk]),
        ),
    ]
    return _page(request, acts, {"lesion": found, "patient": patient, **_choice(request, others)})


@require_http_methods(METHODS)
def patient(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = Patient.objects.visible_to(request.user).select_related("clinic")
    found = get_object_or_404(visible, pk=pk)
    write_access.require_writable(user=request.user, patient=found)
    others = _others(request, found)
    images = LesionImage.objects.present().filter(lesion__patient=found)
    acts = [
        Act(
            "merge",
            "It is the same person as another record",
            "All spots move to the record that you keep. The old address leads there.",
            "Merge the two",
            MergePatientForm(
                _posted(request, "merge"),
                auto_id="merge_%s",
                patients=_offered(request, others),
                findings=moves.findings_of(images, request.user),
            ),
            lambda **fields: merges.merge_patients(user=request.user, patient=found, **fields),
            "The two records are merged.",
            reverse("patient", args=[pk]),
            "" if others.exists() else "There is no other record.",
            asks_patient=True,
        ),
        _withdrawal(
            request,
            found,
            "It was entered in error",
            "Withdraw the record with all its spots and pictures: they no longer count, and "
            "no outcome, report or export shows them. They are kept with your reason, and can be "
            "put back.",
            reverse("withdrawn"),
        ),
    ]
    return _page(request, acts, {"patient": found, **_choice(request, others)})


@require_http_methods(METHODS)
def visit(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = DoctorVisit.objects.visible_to(request.user).select_related("lesion__patient__clinic")
    found = get_object_or_404(visible, pk=pk)
    if not visits.may_record(request.user, found.lesion.patient):
        raise PermissionDenied(visits.ONLY_ONES_OWN)
    return _entry(request, found, "visit", "lesion_visit")


@require_http_methods(METHODS)
def histology(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = Histology.objects.visible_to(request.user).select_related("lesion__patient__clinic")
    found = get_object_or_404(visible.select_related("recorded_by"), pk=pk)
    require_author(request.user, found)
    return _entry(request, found, "histology", "lesion_histology")


@require_http_methods(METHODS)
def undo(request: UserRequest, pk: UUID) -> HttpResponse:
    """Ask for confirmation, and show what prevents it, if anything."""
    visible = Correction.objects.visible_to(request.user)
    correction = get_object_or_404(visible.select_related("patient", "lesion", "image"), pk=pk)
    correction_undo.require_for(request.user, correction)
    subject, may_be_undone = (
        correction_undo.subject(correction),
        correction_undo.may_be_undone(correction),
    )
    is_sent = request.method == "POST"
    form = UndoForm(
        request.POST if is_sent else None,
        of_patient=isinstance(subject, Patient),
        findings=correction_undo.at_stake(correction, request.user) if may_be_undone else "",
    )
    if (
        is_sent
        and submit(form, correction_undo.undo, user=request.user, correction=correction) is not None
    ):
        messages.success(request, "The change is undone.")
        return redirect(_address_of(correction, request))
    return render(
        request,
        "screening/undo.html",
        {
            "form": form,
            "correction": correction,
            "subject": subject,
            "may_be_undone": may_be_undone,
            "back": _address_of(correction, request),
        },
    )


def leading_on(name: str, model: type[Any], pk: UUID, request: UserRequest) -> HttpResponse:
    """Redirect to the record that a merged one was merged into. Raises Http404 if there is none.

    Resolved on every request, because the two may be split again.
    """
    found = queries.leads_to(model, pk, request.user)
    if found is None:
        raise Http404
    response = redirect(name, found.pk, permanent=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@require_safe
def withdrawn(request: UserRequest) -> HttpResponse:
    """Patients that were withdrawn or merged and can be restored."""
    found = queries.withdrawn_patients(request.user)
    page = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    own = Following.objects.owned_by(request.user).standing()
    context = {
        "rows": queries.with_last(page),
        "page": page,
        "followed": own.exclude(patient__withdrawn_at=None).select_related("clinic", "patient"),
    }
    return render(request, "screening/withdrawn.html", context)


@require_safe
def thumbnail(request: UserRequest, pk: UUID) -> HttpResponseBase:
    """The thumbnail of a withdrawn picture, for users who may restore it."""
    kept = LesionImage.everything.kept_for(request.user)
    return delivery.deliver(
        request=request, user=request.user, pk=pk, rendition=delivery.Rendition.THUMBNAIL, of=kept
    )


def _page(request: UserRequest, acts: list[Act], context: dict[str, Any]) -> HttpResponse:
    for act in acts:
        is_asked = request.method == "POST" and request.POST.get("act") == act.name
        if is_asked and submit(act.form, act.write) is not None:
            done = clinical(act.done) if request.user.roles else act.done
            messages.success(request, done)
            return redirect(act.then)
    opened = request.GET.get("open", "")
    return render(request, "screening/correct.html", {"acts": acts, "opened": opened, **context})


def _entry(
    request: UserRequest, entry: DoctorVisit | Histology, what: str, again: str
) -> HttpResponse:
    """The page of a visit or a histology. again: the page where the corrected one is entered."""
    lesion, corrected = entry.lesion, entry.supersedes
    returns = ""
    if isinstance(corrected, DoctorVisit | Histology):
        returns = f" What it had corrected counts again: {act_found(corrected)}."
    act = _withdrawal(
        request,
        entry,
        "It should not be here",
        f"Withdraw the {what}: it no longer settles or closes anything, and the warnings that it "
        f"settled return.{returns} It is kept with your reason, and can be put back on the spot's "
        "page. If it belongs to another spot, enter it there.",
        reverse("lesion", args=[lesion.pk]),
    )
    again = f"{reverse(again, args=[lesion.pk])}?corrects={entry.pk}"
    context = {"entry": entry, "what": what, "again": again}
    return _page(request, [act], {**context, "lesion": lesion, "patient": lesion.patient})


def _withdrawal(request: UserRequest, record: Any, title: str, about: str, then: str) -> Act:
    return Act(
        "withdraw",
        title,
        about,
        "Withdraw",
        WithdrawForm(_posted(request, "withdraw"), auto_id="withdraw_%s"),
        lambda **fields: services.withdraw(user=request.user, record=record, **fields),
        "It is withdrawn. You can put it back.",
        then,
    )


def _posted(request: UserRequest, act: str) -> Any:
    """The data of the page's submitted form; None for the others."""
    return request.POST if request.POST.get("act") == act else None


def _others(request: UserRequest, patient: Patient) -> PatientQuerySet:
    """Other records with the same clinic and owner."""
    writable = Patient.objects.writable_by(request.user).exclude(pk=patient.pk)
    writable = writable.filter(clinic=patient.clinic_id, owner=patient.owner_id)
    return writable.select_related("clinic").order_by("label", "pk")


def _offered(request: UserRequest, others: PatientQuerySet) -> QuerySet[Patient]:
    """The records that a list offers; a submitted one is accepted if the user may write it."""
    if request.method == "POST":
        return others
    search = _search(request)
    found = others.search(search) if search else others
    first = found.values_list("pk", flat=True)[:AT_ONCE]
    return others.filter(pk__in=list(first))


def _search(request: UserRequest) -> str:
    return request.GET.get("q", "").strip()


def _choice(request: UserRequest, others: PatientQuerySet) -> dict[str, Any]:
    """The context for searching among many patients."""
    count = others.count()
    return {
        "search": _search(request),
        "other_count": count,
        "is_long": count > AT_ONCE,
        "patients": _offered(request, others) if request.method != "POST" else others[:AT_ONCE],
    }


def _address_of(correction: Correction, request: UserRequest) -> str:
    """The nearest page that shows the record."""
    image, lesion = correction.image, correction.lesion
    if image is not None and LesionImage.objects.visible_to(request.user).contains(image):
        return reverse("image", args=[image.pk])
    if lesion is not None and Lesion.objects.visible_to(request.user).contains(lesion):
        return reverse("lesion", args=[lesion.pk])
    if Patient.objects.visible_to(request.user).contains(correction.patient):
        return reverse("patient", args=[correction.patient_id])
    return reverse("withdrawn")


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
