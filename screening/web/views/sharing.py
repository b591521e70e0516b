"""Who can see a record, the links to it, and what a doctor sees through one."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from io import BytesIO
from typing import Any
from uuid import UUID

import qrcode
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db.models import BooleanField, Count, ExpressionWrapper, Max, Q
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from qrcode.image.svg import SvgPathImage
from reportlab.platypus import Flowable

from accounts import session_keys
from accounts.models import ApiKey, User
from accounts.recent_log_in import recent_log_in_to_post
from accounts.roles import Role
from accounts.second_factors import admitted
from screening.body_map import queries as body_map_queries
from screening.corrections.queries import with_merged
from screening.images import delivery
from screening.models import (
    CalendarFeed,
    DicomDelivery,
    Opinion,
    Patient,
    Share,
    ShareOpening,
    Webhook,
)
from screening.privacy import sharing
from screening.records import queries as record_queries
from screening.report.lesion_report import lesion_report
from screening.report.patient_report import patient_report
from screening.report.referral_letter import letter
from screening.web import form_tokens
from screening.web.forms.sharing import CodeForm, OpinionForm, ShareForm
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest
from screening.write_access import require_writable

What = ShareOpening.What
NODE = ("pk", "name", "address", "removed_at", "clinic_id", "clinic__name")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def access(request: UserRequest, pk: UUID) -> HttpResponse:
    """Who can see this record; a POST creates a link, which is shown once."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    require_writable(user=request.user, patient=patient)
    lesion = None
    if asked := request.POST.get("lesion") or request.GET.get("lesion"):
        lesion = patient.lesions.filter(pk=asked).first() if _is_uuid(asked) else None
        if lesion is None:
            raise Http404
    form, made = ShareForm(request.POST or None), None
    if request.method == "POST":
        made = submit(form, sharing.share, user=request.user, patient=patient, lesion=lesion)
    context = {"patient": patient, "lesion": lesion, "form": form, **_who(request, patient)}
    if made is not None:
        share, secret = made
        link = f"{settings.SITE_URL}{reverse('shared', args=[secret])}"
        form_tokens.made(request, request.get_full_path())
        context |= {"made": share, "link": link, "qr": _drawn(link), "form": ShareForm()}
    return render(request, "sharing/access.html", context)


@require_POST
def revoke(request: UserRequest, pk: UUID) -> HttpResponse:
    share = get_object_or_404(Share.objects.visible_to(request.user), pk=pk)
    sharing.revoke(user=request.user, share=share)
    messages.success(request, f"The link for {share.recipient} no longer works.")
    return redirect("patient_access", pk=share.patient_id)


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def shared(request: HttpRequest, secret: str) -> HttpResponse:
    """What the doctor sees. A POST leaves an opinion, or gives the code."""
    share = _opened(secret)
    if not _is_let_in(request, share):
        return _ask_for_code(request, share)
    form = OpinionForm(request.POST if "text" in request.POST else None)
    if request.method == "POST" and form.is_bound and form.is_valid():
        author = request.user if request.user.is_authenticated else None
        left = submit(form, sharing.leave_opinion, share=share, author=author)
        if left is not None:
            messages.success(request, "Your opinion is with the record. Thank you.")
            return redirect("shared", secret)
    if request.method == "GET":
        sharing.note(share, What.PAGE)
    return render(request, "sharing/shared.html", {"form": form, **_shown(share, secret)})


@never_cache
@login_not_required
@require_safe
def picture(request: HttpRequest, secret: str, pk: UUID) -> HttpResponseBase:
    share = _opened(secret)
    if not _is_let_in(request, share):
        raise Http404
    image = get_object_or_404(sharing.images_of(share), pk=pk)
    sharing.note(share, What.PICTURE, image)
    response = delivery.stored(request, image, image.on_page)
    response.headers["Cache-Control"] = "private, no-store"
    return response


@never_cache
@login_not_required
@require_safe
def report(request: HttpRequest, secret: str) -> FileResponse:
    """The report as the link's creator sees it."""
    share = _opened(secret)
    if not _is_let_in(request, share):
        raise Http404
    made = _report(share, share.shared_by, letter(share) if share.message else ())
    sharing.note(share, What.REPORT)
    return made


@never_cache
@require_safe
def printed(request: UserRequest, pk: UUID) -> FileResponse:
    """The letter to the recipient of a link, and the report, to print or to send by post."""
    active = Share.objects.active().select_related("patient__clinic", "lesion", "shared_by")
    share = get_object_or_404(active.visible_to(request.user), pk=pk)
    require_writable(user=request.user, patient=share.patient)
    return _report(share, request.user, letter(share))


def _report(share: Share, user: User, before: Iterable[Flowable]) -> FileResponse:
    """What ``user`` sees of the shared record."""
    if share.lesion_id:
        lesions = sharing.lesions_of(share).select_related("patient__clinic")
        lesion = body_map_queries.with_position(lesions).get()
        file, _ = lesion_report(lesion, user, before)
    else:
        file, _ = patient_report(share.patient, user, before)
    return FileResponse(file, content_type="application/pdf", filename="skincheck-report.pdf")


def _opened(secret: str) -> Share:
    try:
        return sharing.opened(secret)
    except Share.DoesNotExist:
        raise Http404("This link has ended.") from None


def _is_let_in(request: HttpRequest, share: Share) -> bool:
    return not share.code_hash or request.session.get(_let_in(share)) is True


def _let_in(share: Share) -> str:
    return f"share-{share.pk}"


def _ask_for_code(request: HttpRequest, share: Share) -> HttpResponse:
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if sharing.is_code(share, form.cleaned_data["code"]):
            session_keys.renew(request)
            request.session[_let_in(share)] = True
            return redirect(request.path)
        form.add_error("code", "This code is wrong.")
    return render(request, "sharing/code.html", {"form": form})


def _shown(share: Share, secret: str) -> dict[str, Any]:
    by = share.shared_by
    found = record_queries.with_latest(sharing.lesions_of(share), by)
    lesions = record_queries.attach_latest_images(record_queries.most_severe_first(found), by)
    images = sharing.images_of(share).latest_first()
    for lesion in lesions:
        row: Any = lesion
        row.shown_images = [image for image in images if image.lesion_id == lesion.pk]
    return {"share": share, "secret": secret, "lesions": lesions, "patient": share.patient}


def _who(request: UserRequest, patient: Patient) -> dict[str, Any]:
    """Everyone and everything with access to the record, and what of it the user may end."""
    clinic, owner = patient.clinic, patient.owner
    members = (
        list(clinic.memberships.of_people().select_related("user").order_by("role", "created"))
        if clinic
        else []
    )
    people = [member.user_id for member in members] + ([owner.pk] if owner else [])
    active = ApiKey.objects.active().filter(user__in=people).select_related("user", "clinic")
    keys = [key for key in active if _reaches(key, patient)]
    own = next((one for one in members if one.user_id == request.user.pk), None)
    webhooks = Webhook.objects.filter(clinic=clinic) if clinic else Webhook.objects.none()
    if owner:
        webhooks = webhooks | Webhook.objects.filter(owner=owner)
    openings = ShareOpening.objects.filter(share__patient=patient).select_related("share")
    of_all = Q(lesion=None, share__patient__in=with_merged(patient))
    opinions = Opinion.objects.filter(Q(lesion__patient=patient) | of_all).select_related("author")
    is_owner = owner is not None and owner.pk == request.user.pk
    followings = patient.followings.select_related("clinic")
    return {
        "owner": owner,
        "is_owner": is_owner,
        "following": followings.standing().first() if owner and clinic else None,
        "waiting": followings.waiting().first() if is_owner and not clinic else None,
        "members": members,
        "keys": keys,
        "has_unbound_keys": any(
            key.clinic_id is None and key.user_id != patient.owner_id for key in keys
        ),
        "applications": clinic.applications.active() if clinic else [],
        "webhooks": webhooks.filter(disabled_at=None),
        "dicom_nodes": DicomDelivery.objects.attempted()
        .filter(image__lesion__patient=patient)
        .values(*(f"node__{field}" for field in NODE))
        .annotate(pictures=Count("image", distinct=True), last_at=Max("modified"))
        .order_by("node__name"),
        "calendars": CalendarFeed.objects.filter(user__in=people).select_related("user"),
        "shares": patient.shares.active()
        .select_related("lesion", "shared_by")
        .annotate(is_open=ExpressionWrapper(admitted("shared_by__"), BooleanField())),
        "closed_shares": patient.shares.closed_by_codes().select_related("lesion", "shared_by"),
        "opinions": opinions,
        "openings": openings[:50],
        "is_admin": own is not None and own.role == Role.ADMIN,
    }


def _reaches(key: ApiKey, patient: Patient) -> bool:
    """Whether the key of the owner, or of a member of the clinic, has access to the record."""
    if key.clinic_id is not None:
        return key.clinic_id == patient.clinic_id
    if key.user_id == patient.owner_id or patient.clinic is None:
        return True
    return not patient.clinic.requires_bound_keys


def _drawn(link: str) -> str:
    """A QR code as a data URI."""
    file = BytesIO()
    qrcode.make(link, image_factory=SvgPathImage).save(file)
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
