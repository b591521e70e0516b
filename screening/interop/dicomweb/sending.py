"""Pictures on their way to DICOM nodes: an outbox, as that of webhooks. A row for each picture and
node, claimed by one courier, retried when due.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.http import Http404
from django.utils import timezone

from accounts import locks
from accounts.models import Clinic, User
from screening import bells, write_access
from screening.errors import Busy, KeyMissing, NotSent, Unreadable
from screening.images import delivery as image_delivery
from screening.interop.dicom import readings, uids
from screening.interop.dicom.writer import to_dicom
from screening.interop.dicomweb import retrieval, stow
from screening.interop.dicomweb.stow import Result, Verdict
from screening.models import (
    DeliveryState,
    DicomDelivery,
    DicomNode,
    Lesion,
    LesionImage,
    Patient,
    witness,
)
from screening.webhooks import retries

LEASE_SECONDS = 240
SHOWN = 50
_NOT_ALLOWED = (
    "The picture was withdrawn, or whoever sent it may not send it any more. Nothing was sent."
)
_NODE_REMOVED = "This DICOM node was removed. Nothing was sent."
_NO_KEY = "The picture cannot be opened here, because an encryption key is missing."
_IN_ANOTHER_STUDY = (
    "The node has this picture in another study, from before it was moved or its day was "
    "corrected. Have that copy removed there, then send it again."
)
_NO_READING = "Without a reading: there was none that counts and that may be sent."
_SEALED_MEANWHILE = "The picture was encrypted anew at this moment."
_NO_CONSENT = "This node is for research, and this person has not consented to it."


@transaction.atomic
def send(
    *, user: User, lesion: Lesion, node: DicomNode, with_readings: bool = False
) -> list[DicomDelivery]:
    """Send each picture of the lesion that is not on its way there already. The node recognises by
    its UID a picture that it has.
    """
    write_access.require_writable(user=user, patient=lesion.patient)
    is_theirs = DicomNode.objects.visible_to(user).contains(node)
    if not is_theirs or node.clinic_id != lesion.patient.clinic_id:
        raise ValidationError({"node": "Choose a DICOM node of the clinic that keeps the record."})
    witness.name(node)
    write_access.lock(lesion)  # nobody sends it at the same moment
    images = list(sendable(node, user).filter(lesion=lesion))
    if not images:
        raise ValidationError(_why_nothing(node, user, lesion))
    on_their_way = set(
        node.deliveries.active().filter(image__in=images).values_list("image", flat=True)
    )
    made = DicomDelivery.objects.bulk_create(
        DicomDelivery(node=node, image=image, sent_by=user, with_readings=with_readings)
        for image in images
        if image.pk not in on_their_way
    )
    bells.after_commit(ring)
    return made


@transaction.atomic
def send_again(*, user: User, delivery: DicomDelivery) -> DicomDelivery:
    """Retry a failed delivery for another day, in the name of ``user``."""
    write_access.require_writable(user=user, patient=delivery.image.lesion.patient)
    if not Clinic.objects.with_member(user).filter(pk=delivery.node.clinic_id).exists():
        raise PermissionDenied("Only members of the clinic send pictures to its DICOM nodes.")
    if delivery.node.removed_at is not None:
        raise ValidationError("This DICOM node was removed.")
    if delivery.state != DeliveryState.FAILED:
        raise ValidationError("Only what failed is sent again.")
    witness.name(delivery.node)
    write_access.lock(delivery.image.lesion)
    if delivery.node.deliveries.active().filter(image=delivery.image_id).exists():
        raise ValidationError("This picture is on its way there already.")
    failed = DicomDelivery.objects.filter(pk=delivery.pk, state=DeliveryState.FAILED)
    retries.send_again(failed, sent_by=user)
    bells.after_commit(ring)
    delivery.refresh_from_db()
    return delivery


def sendable(node: DicomNode, user: User) -> QuerySet[LesionImage]:
    """The pictures that ``user`` may send there, as a member of the clinic. To a node for research
    only those of patients who consented, as in exports.
    """
    of_clinic = Clinic.objects.with_member(user).filter(pk=node.clinic_id)
    patients = Patient.objects.writable_by(user).filter(clinic__in=of_clinic)
    if node.for_research:
        patients = patients.open_to_research(user)
    return LesionImage.objects.visible_to(user).filter(lesion__patient__in=patients)


def sent_of(lesion: Lesion) -> list[DicomDelivery]:
    """The latest delivery of each picture to each node, the newest first."""
    found = DicomDelivery.objects.filter(image__in=lesion.images.all())
    latest: dict[tuple[UUID, UUID], DicomDelivery] = {}
    for one in found.select_related("node", "image", "sent_by"):
        latest.setdefault((one.node_id, one.image_id), one)
    return list(latest.values())[:SHOWN]


def has_nodes() -> Exists:
    """A condition on lesions: their clinic has a DICOM node."""
    return Exists(DicomNode.objects.standing().filter(clinic=OuterRef("patient__clinic")))


def is_sent() -> Exists:
    """A condition on lesions: one of their pictures was sent, or is on its way."""
    return Exists(DicomDelivery.objects.filter(image__lesion=OuterRef("pk")))


def ring(*, again_after: int = LEASE_SECONDS) -> None:
    """Ring for every due delivery not rung for in the last ``again_after`` seconds."""
    for pk in due(rung_before=timezone.now() - timedelta(seconds=again_after)):
        if not bells.store(pk):
            return


def due(*, rung_before: datetime) -> list[UUID]:
    """Deliveries to ring for: the next of each node, while nothing is being sent. One that a
    courier started but never finished counts as a failed attempt first.
    """
    now = timezone.now()
    for delivery in DicomDelivery.objects.lost(now).select_related("node")[: retries.DUE_LIMIT]:
        _keep(delivery, Verdict(Result.TRY_AGAIN, "The sending was cut off here."))
    waiting = DicomDelivery.objects.due(now)
    of_node = waiting.filter(node=OuterRef("pk")).order_by("due_at", "pk").values("pk")
    nodes = DicomNode.objects.filter(_is_free(now)).annotate(next=Subquery(of_node[:1]))
    found = waiting.filter(pk__in=[pk for pk in nodes.values_list("next", flat=True) if pk])
    unrung = found.rung_before(rung_before).order_by("due_at", "pk")
    keys = list(unrung.values_list("pk", flat=True))
    waiting.filter(pk__in=keys).update(rung_at=now)
    return keys


@transaction.atomic
def claim(pk: UUID) -> DicomDelivery | None:
    """WAITING -> SENDING, for one caller only; None for every other, for what is not due, and
    while its node rests or another is being sent.
    """
    locks.lock("screening.dicom_sending")  # two at the same moment would not see one another
    now = timezone.now()
    free = DicomNode.objects.filter(_is_free(now))
    due = DicomDelivery.objects.due(now).filter(node__in=free, pk=pk)
    if not retries.claim(due, seconds=LEASE_SECONDS):
        return None
    return DicomDelivery.objects.select_related("node", "sent_by").get(pk=pk)


def _is_free(now: datetime) -> Q:
    """A condition on nodes. One picture is sent at a time, so nodes that hang leave a courier for
    webhooks.
    """
    busy = DicomDelivery.objects.filter(state=DeliveryState.SENDING)
    return (Q(rests_until=None) | Q(rests_until__lte=now)) & ~Q(Exists(busy))


def deliver(delivery: DicomDelivery, *, seconds: float | None = None) -> None:
    """SENDING -> DELIVERED, or WAITING for the next attempt, or FAILED. What nobody foresaw is
    raised, and counts as an attempt. seconds: for the request, instead of ``stow.SECONDS``.
    """
    try:
        verdict = _attempt(delivery, seconds)
    except Exception:
        _keep(delivery, Verdict(Result.HELD_UP, "An error occurred here."))
        raise
    _keep(delivery, verdict)


def _attempt(delivery: DicomDelivery, seconds: float | None) -> Verdict:
    node, user = delivery.node, delivery.sent_by
    witness.name(node)
    if delivery.given_up_at < timezone.now():
        return Verdict(
            Result.REFUSED, f"Given up after a day. The last attempt: {delivery.message}"
        )
    image = retrieval.needed(sendable(node, user).filter(pk=delivery.image_id)).first()
    if node.removed_at is not None:
        return Verdict(Result.REFUSED, _NODE_REMOVED)
    if image is None or not user.is_active:
        return Verdict(Result.REFUSED, _NOT_ALLOWED)
    try:
        picture = to_dicom(image, image_delivery.picture_of(image))
        documents = list(_readings(image, user)) if delivery.with_readings else []
        verdict = _stored(delivery, image, [picture, *documents], seconds)
    except KeyMissing:
        return Verdict(Result.HELD_UP, _NO_KEY)
    except Unreadable:
        return Verdict(Result.REFUSED, f"{readings.UNREADABLE} Nothing was sent.")
    except Http404:
        return _without_file(image)
    except Busy:
        return Verdict(Result.HELD_UP, "Every process that opens pictures was at work.")
    except NotSent as reason:
        return Verdict(Result.TRY_AGAIN, str(reason))
    is_there = verdict.result in (Result.STORED, Result.DUPLICATE)
    if is_there and delivery.with_readings and not documents:
        return verdict._replace(message=f"{verdict.message} {_NO_READING}".strip())
    return verdict


def _without_file(image: LesionImage) -> Verdict:
    """Whether the file is lost, or has another name since ``image`` was loaded."""
    if LesionImage.objects.filter(pk=image.pk, file=image.file.name).exists():
        return Verdict(Result.REFUSED, "The picture's file is lost or damaged.")
    return Verdict(Result.HELD_UP, _SEALED_MEANWHILE)


def _readings(image: LesionImage, user: User) -> Iterable[bytes]:
    """The reading that counts, as far as ``user`` may see it: report and segmentation."""
    for reading in readings.told_to(user).filter(image=image.pk):
        for document in readings.documents_of(reading):
            yield readings.to_dicom(reading, document)


def _stored(
    delivery: DicomDelivery, image: LesionImage, instances: list[bytes], seconds: float | None
) -> Verdict:
    """Raises NotSent."""
    lesion, day = image.lesion, image.captured_on
    told = {
        "study_uid": uids.study_uid(lesion.patient_id, day),
        "series_uid": uids.series_uid(lesion.pk, day, image.modality),
        "instance_uid": uids.instance_uid(image),
    }
    former = _uids_there(delivery)
    mine = retries.held(delivery)
    # Noted before they are sent: the node may have the picture even if no answer comes.
    if not mine.update(**told):
        return Verdict(Result.REFUSED, _NOT_ALLOWED)  # erased meanwhile, or another courier's
    verdict = stow.store(delivery.node, instances, seconds)
    same_instance = former.get("instance_uid") == told["instance_uid"]
    if verdict.result == Result.DUPLICATE and same_instance and former != told:
        mine.update(**former)
        return verdict._replace(result=Result.REFUSED, message=_IN_ANOTHER_STUDY)
    return verdict


def _uids_there(delivery: DicomDelivery) -> dict[str, str]:
    """Those that the picture was sent with before: by this delivery, else by the latest other."""
    sent = DicomDelivery.objects.attempted().filter(node=delivery.node_id, image=delivery.image_id)
    names = ("study_uid", "series_uid", "instance_uid")
    found = sent.filter(pk=delivery.pk).values(*names).first()
    return found or sent.order_by("-modified").values(*names).first() or {}


@transaction.atomic
def _keep(delivery: DicomDelivery, verdict: Verdict) -> None:
    """Note an attempt; does nothing if the lease was lost meanwhile."""
    now = timezone.now()
    state, due_at = _what_follows(delivery, verdict, now)
    found = {"status_code": verdict.status_code, "message": verdict.message[:300]}
    if not retries.note_attempt(delivery, state, due_at, now, **found):
        return
    if verdict.result == Result.TRY_AGAIN:
        # A node that does not answer delays nothing that is for others.
        retries.let_rest(DicomNode.objects.select_for_update().get(pk=delivery.node_id), now)
    elif verdict.status_code is not None:  # it answered
        DicomNode.objects.filter(pk=delivery.node_id).update(failures=0, rests_until=None)
    bells.after_commit(partial(ring, again_after=0))  # for the next


def _what_follows(
    delivery: DicomDelivery, verdict: Verdict, now: datetime
) -> tuple[DeliveryState, datetime]:
    if verdict.result in (Result.STORED, Result.DUPLICATE):
        return DeliveryState.DELIVERED, delivery.due_at
    is_final = verdict.result == Result.REFUSED
    return retries.after_failure(delivery, now, retry_after=verdict.retry_after, is_final=is_final)


def _why_nothing(node: DicomNode, user: User, lesion: Lesion) -> str:
    patient = Patient.objects.filter(pk=lesion.patient_id)
    if node.for_research and not patient.open_to_research(user).exists():
        return _NO_CONSENT
    return "This lesion has no picture yet."
