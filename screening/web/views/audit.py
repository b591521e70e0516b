"""Who looked at a record or changed it: for the person, and for the admins of a clinic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import Clinic
from accounts.roles import Role
from screening.interop.tables import Columns, FileType, as_download
from screening.models import Patient
from screening.privacy import presenters, queries
from screening.records import queries as record_queries
from screening.web.forms.audit import AuditForm
from screening.web.views.requests import UserRequest

ENTRIES_A_PAGE = 50
AT_ONCE = 500
COLUMNS: Columns = {
    "number": int,
    "at": datetime,
    "who": str,
    "account": str,
    "through": str,
    "what": str,
    "did": str,
    "patients": str,
    "changed": str,
    "address": str,
    "request": str,
}


@never_cache
@require_safe
def of_patient(request: UserRequest, pk: UUID) -> HttpResponse:
    """For the person, and for admins of the clinic. ``all=1`` includes the software's own acts."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    if not Patient.objects.exportable_by(request.user).contains(patient):
        raise PermissionDenied("Only the person and admins of the clinic see who looked.")
    patients = record_queries.with_merged([pk])
    entries, is_all = queries.about(patients), bool(request.GET.get("all"))
    page: Any = Paginator(
        entries if is_all else queries.by_people(entries), ENTRIES_A_PAGE
    ).get_page(request.GET.get("page"))
    page.object_list = presenters.for_person(list(page.object_list), patients, request.user)
    context = {
        "patient": patient,
        "page": page,
        "is_all": is_all,
        "is_own": patient.owner_id == request.user.pk,
        "years": settings.AUDIT_RETENTION_YEARS,
    }
    return render(request, "privacy/looks.html", context)


@never_cache
@require_safe
def of_clinic(request: UserRequest, pk: UUID) -> HttpResponse:
    clinic = _clinic(request, pk)
    form = AuditForm(request.GET, clinic=clinic)
    page: Any = Paginator(form.narrowed(), ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    page.object_list = presenters.for_clinic(list(page.object_list), clinic, request.user)
    context = {
        "clinic": clinic,
        "form": form,
        "page": page,
        "years": settings.AUDIT_RETENTION_YEARS,
    }
    return render(request, "privacy/audit.html", context)


@never_cache
@require_safe
def table(request: UserRequest, pk: UUID) -> HttpResponseBase:
    """The filtered entries as CSV."""
    clinic = _clinic(request, pk)
    rows = _rows(AuditForm(request.GET, clinic=clinic), clinic)
    return as_download("audit", FileType.CSV, COLUMNS, rows)


def _rows(form: AuditForm, clinic: Clinic) -> Iterator[list[Any]]:
    found = form.narrowed().iterator(AT_ONCE)
    while entries := list(islice(found, AT_ONCE)):
        for look in presenters.for_clinic(entries, clinic, None):
            entry = look.entry
            yield [
                entry.number,
                entry.at,
                look.who,
                str(entry.actor or ""),
                look.way or entry.through,
                entry.what,
                look.did,
                look.whose,
                look.changed,
                look.address,
                entry.request,
            ]


def _clinic(request: UserRequest, pk: UUID) -> Clinic:
    clinic = get_object_or_404(Clinic.objects.with_member(request.user), pk=pk)
    if not Clinic.objects.with_member(request.user, (Role.ADMIN,)).contains(clinic):
        raise PermissionDenied("Only admins of the clinic see its audit log.")
    return clinic
