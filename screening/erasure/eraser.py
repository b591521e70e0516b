"""Erases what is due: first the rows, in one transaction; then the files; then it looks for traces,
signs the receipt and mails it.

Each step can be repeated: a worker that is killed leaves an ``Erasure`` that says what is left to
do.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial, reduce
from operator import or_
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from django.core.files.storage import default_storage
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Model, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import ApiKey, Application, Clinic, Invitation, Membership, User
from screening.erasure import receipts, rows, traces
from screening.errors import Damaged, KeyMissing
from screening.exports import services as exports
from screening.images import encryption
from screening.interop.dicom import uids
from screening.models import (
    ACTIVE_BATCH,
    Alert,
    Authorization,
    Batch,
    BatchRow,
    ChangeMark,
    Correction,
    DataKey,
    DicomDelivery,
    DicomNode,
    DoctorVisit,
    Erasure,
    ErasureState,
    ExternalIdentifier,
    Following,
    Histology,
    Lesion,
    LesionImage,
    Opinion,
    Patient,
    Review,
    Share,
    Trace,
    Webhook,
)
from screening.models.data_key import forget_opened
from screening.models.image import LesionImageQuerySet
from screening.models.witness import unseen
from screening.operations.transience import is_transient
from screening.privacy import services as audit
from screening.reviews import chain

logger = logging.getLogger(__name__)

LEASE = timedelta(hours=1)
"""How long one worker has an erasure to itself, and how long a failed one rests."""
MAILED_WITHIN = timedelta(days=7)
"""Then the address is erased too, whether the receipt could be mailed or not."""
FORMER = "Former member"
ERASED = "erased"
"""In place of an identifier, in a correction of another record."""
_BY_OTHERS: tuple[type[Model], ...] = (
    Alert,
    ApiKey,
    Application,
    Batch,
    BatchRow,
    ChangeMark,
    Clinic,
    Correction,
    DicomNode,
    DoctorVisit,
    ExternalIdentifier,
    Following,
    Histology,
    Lesion,
    LesionImage,
    Opinion,
    Patient,
    Review,
    Share,
    User,
    Webhook,
)
WRITTEN_BY_OTHERS = tuple(f"{model._meta.label}." for model in _BY_OTHERS)
"""Where others write what they like: a name there is no trace, but theirs."""
Kind = Trace.Kind
storage: Any = default_storage


@unseen()
def erase_due() -> int:
    """Work on everything that is due. Returns how many erasures are finished."""
    for pk in list(Erasure.objects.due().order_by("created").values_list("pk", flat=True)):
        _attempt(partial(_erase, pk), pk)
    finished = _finish()
    waiting = Erasure.objects.filter(state=ErasureState.ERASED).exclude(mail_to="")
    if sum(_mail(one) for one in waiting):
        _overwrite_free_pages()
    return finished


@unseen()
def erase_again(digests: Iterable[str]) -> int:
    """Erase every record and account of this list at once: a restored backup brought them back.
    Returns how many erasures are finished.
    """
    gone = set(digests)
    with transaction.atomic():
        asked = [
            *(
                Erasure(user=user, asked_by=user)
                for user in User.objects.all()
                if traces.of_identifier(user.pk.hex) in gone
            ),
            *(
                Erasure(patient=patient)
                for patient in Patient.everything.all()
                if traces.of_identifier(patient.pk.hex) in gone
            ),
        ]
        now = timezone.now()
        Erasure.objects.filter(
            Q(patient__in=[one.patient_id for one in asked if one.patient_id])
            | Q(user__in=[one.user_id for one in asked if one.user_id])
        ).delete()
        for one in asked:
            one.erased_from = now
            one.save()
    return erase_due()


def _attempt(work: Any, pk: Any) -> None:
    now = timezone.now()
    rested = Q(rests_until=None) | Q(rests_until__lte=now)
    if not Erasure.objects.filter(rested, pk=pk).update(rests_until=now + LEASE):
        return  # another worker has it
    try:
        work()
    except Exception as error:
        failed = Erasure.objects.filter(pk=pk).first()
        if failed is not None:
            failed.failures += 1
            failed.save(update_fields=["failures", "modified"])
        if is_transient(error):
            logger.warning("erasure %s: put off, %s", pk, type(error).__name__)
        else:
            logger.exception("erasure %s failed; it is tried again in an hour", pk)
    else:
        Erasure.objects.filter(pk=pk).update(rests_until=None)


def _erase(pk: Any) -> None:
    storage.require_there()
    _erase_rows(pk)
    _erase_files(pk)


@transaction.atomic
def _erase_rows(pk: Any) -> None:
    """PENDING -> ERASING. All rows go in this transaction, or none."""
    erasure = Erasure.objects.select_for_update().get(pk=pk)
    if erasure.state != ErasureState.PENDING:
        return
    patients, users, clinics = _subjects(erasure)
    now = timezone.now()
    names = _names(patients, users)
    found = rows.everything_of(_roots(erasure, patients, users, clinics))
    staying = _leave_to_others(found)
    # Remove the person from this erasure and from their earlier ones.
    Erasure.objects.filter(asked_by__in=users, clinic=None).update(asked_by=None)
    gone = Q(patient__in=found.get(Patient, ())) | Q(user__in=found.get(User, ()))
    Erasure.objects.filter(gone).exclude(pk=pk).delete()
    Erasure.objects.filter(pk=pk).update(patient=None, user=None)
    files = rows.stored_files(found) + _archives_touched(found)
    files += [name for name in exports.forget(found.get(Patient, ())) if name not in files]
    copied = _pictures_of_others(found.get(LesionImage, set()))
    uploads = LesionImage.everything.filter(pk__in=found.get(LesionImage, ())).exclude(
        sha256__in=copied.values("sha256")
    )
    own = {name for names in uploads.values_list("file", "thumbnail", "screen") for name in names}
    of_uploads = map(traces.of_identifier, uploads.values_list("sha256", flat=True))
    traces.note(Kind.CONTENT, list(of_uploads), at=now)
    kept = _seal_and_repoint(found, users) + _parted(erasure) + _copies_at_nodes(patients)
    # The UIDs of a study are made of the patient's identifier.
    DicomDelivery.objects.filter(_sent_as_theirs(patients)).update(study_uid="")
    _redact_corrections(rows.identifiers_of(found))
    erasure.counts = {
        "erased": _counted(found, files),
        "kept": kept + staying + _what_stays(),
    }
    erasure.state, erasure.erased_at, erasure.files = (
        ErasureState.ERASING,
        now,
        [[name, name in own] for name in files],
    )
    erasure.patient, erasure.user, erasure.parted = None, None, []
    if users:
        erasure.asked_by = None
    erasure.save()
    # The keys go after the last file: files are read until then, to note what they held.
    DataKey.objects.filter(pk__in=found.get(DataKey, ())).update(patient=None, erasure=pk)
    rows.erase({model: keys for model, keys in found.items() if model is not DataKey})
    traces.note(Kind.PATIENT, (traces.of_identifier(one.pk.hex) for one in patients), at=now)
    traces.note(Kind.USER, (traces.of_identifier(one.pk.hex) for one in users), at=now)
    named = rows.identifiers_of(found)
    traces.note(Kind.ROW, map(traces.of_identifier, named), at=now)
    stems = {one for name in files for one in traces.identifiers_in(name)}
    traces.note(Kind.FILE, map(traces.of_identifier, stems), at=now)
    traces.note(Kind.NAME, map(traces.of_name, names), at=now)


def _erase_files(pk: Any) -> None:
    """Delete the files one by one: what is left is noted after each. Then destroy the keys. Raises
    while the storage is away: nothing counts as deleted then.
    """
    erasure = Erasure.objects.get(pk=pk)
    while erasure.files:
        name, is_only_copy = erasure.files[0]
        digest = _digest_of(name)
        if digest and is_only_copy and erasure.erased_at is not None:
            traces.note(Kind.CONTENT, [traces.of_identifier(digest)], at=erasure.erased_at)
        storage.erase(name)
        erasure.files = erasure.files[1:]
        erasure.save(update_fields=["files", "modified"])
    _destroy_keys(erasure)


def _digest_of(name: str) -> str:
    """The SHA-256 of the file's content; empty if the file cannot be opened."""
    try:
        with storage.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, Damaged, KeyMissing):
        return ""


def _destroy_keys(erasure: Erasure) -> None:
    """Re-encrypt pictures that were moved to other patients with those patients' keys first: the
    database refuses to delete a key that is in use.
    """
    for image in LesionImage.everything.filter(data_key__erasure=erasure):
        encryption.seal_again(image)
    erasure.data_keys.all().delete()
    forget_opened()


def _finish() -> int:
    """ERASING -> ERASED, with a signed receipt, where no trace is found."""
    erasing = Erasure.objects.filter(state=ErasureState.ERASING, data_keys=None)
    done = [one for one in erasing if not one.files]
    if not done:
        return 0
    mine = {one.erased_at: one for one in done if one.erased_at is not None}
    made = Trace.objects.filter(erased_at__in=mine)
    whose = dict(made.values_list("digest", "erased_at"))
    audit.forget(lambda identifier: traces.of_identifier(identifier) in whose)
    if not _overwrite_free_pages():
        return 0
    names = set(made.filter(kind=Kind.NAME).values_list("digest", flat=True))
    search = traces.Search(only=whose)
    left: dict[datetime, list[str]] = {}
    of_others: dict[datetime, set[str]] = {}
    for found in (*search.in_database(), *search.in_storage(contents=False)):
        if found.digest in names and found.where.startswith(WRITTEN_BY_OTHERS):
            of_others.setdefault(whose[found.digest], set()).add(found.where)
            Trace.objects.filter(pk=found.digest).delete()
        elif not _is_address_to_mail(found.where):
            left.setdefault(whose[found.digest], []).append(found.where)
    finished = 0
    for erased_at, erasure in mine.items():
        if where := left.get(erased_at):
            logger.error("erasure %s left traces: %s", erasure.pk, "; ".join(where[:20]))
            Erasure.objects.filter(pk=erasure.pk).update(failures=erasure.failures + 1)
            continue
        if named := of_others.get(erased_at):
            erasure.counts["kept"].append(_said_by_others(len(named)))
        erasure.receipt = receipts.made_of(erasure)
        erasure.state, erasure.rests_until = ErasureState.ERASED, None
        erasure.save()
        finished += 1
    return finished


def _overwrite_free_pages() -> bool:
    """SQLite keeps deleted data in its file until the space is reused. Returns False while somebody
    uses the database: the receipt waits.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return True
    try:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy, *_ = cursor.fetchone()
    except OperationalError as error:
        logger.warning("the receipts of erasures wait: %s", error)
        return False
    return not is_busy


def _mail(erasure: Erasure) -> bool:
    """Returns whether the address is gone."""
    is_late = erasure.erased_at is None or timezone.now() - erasure.erased_at > MAILED_WITHIN
    is_gone = receipts.mail(erasure) or is_late
    if is_gone:
        Erasure.objects.filter(pk=erasure.pk).update(mail_to="")
    return is_gone


def _is_address_to_mail(where: str) -> bool:
    """The one place where the address may still be, until the receipt is mailed."""
    return where.startswith(f"{Erasure._meta.label}.mail_to")


def _subjects(erasure: Erasure) -> tuple[list[Patient], list[User], list[Clinic]]:
    """The records, accounts and clinics to erase."""
    if erasure.user is None:
        return [erasure.patient] if erasure.patient else [], [], []
    user = erasure.user
    held = Membership.objects.filter(user=user).values("clinic")
    lone = Clinic.objects.filter(pk__in=held, patients=None).exclude(
        pk__in=Membership.objects.exclude(user=user).values("clinic")
    )
    # A clinic may have gained a right meanwhile.
    Patient.everything.filter(owner=user, clinic__isnull=False).update(owner=None)
    own = Patient.everything.filter(owner=user)
    return list(own), [user], list(lone)


def _roots(
    erasure: Erasure, patients: list[Patient], users: list[User], clinics: list[Clinic]
) -> dict[Any, set[Any]]:
    roots: dict[Any, set[Any]] = {
        Patient: {one.pk for one in patients},
        User: {one.pk for one in users},
        Clinic: {one.pk for one in clinics},
        Batch: set(),
        BatchRow: set(),
        ExternalIdentifier: _identifiers_of_parted(erasure),
        Invitation: set(),
    }
    for user in users:
        own = Batch.objects.filter(created_by=user, clinic=None)
        roots[Batch] |= set(own.values_list("pk", flat=True))
        to_them = Invitation.objects.filter(email__iexact=user.email)
        roots[Invitation] |= set(to_them.values_list("pk", flat=True))
    for patient in patients:
        of = {"batch__clinic": patient.clinic_id}
        if patient.clinic_id is None:
            of["batch__created_by"] = patient.owner_id
        lines = BatchRow.objects.filter(**of).only("pk", "values", "source")
        roots[BatchRow] |= {row.pk for row in lines if row.values.get("patient") == patient.label}
    return roots


def _identifiers_of_parted(erasure: Erasure) -> set[Any]:
    """Other systems' identifiers that the side which left the records had given them."""
    of = ExternalIdentifier.of_patients(erasure.parted)
    side = Q(clinic=erasure.clinic_id) if erasure.clinic_id else Q(owner=erasure.asked_by_id)
    return set(ExternalIdentifier.objects.filter(of, side).values_list("pk", flat=True))


def _names(patients: list[Patient], users: list[User]) -> set[str]:
    """Full names, addresses, and labels that no other record has."""
    found = {user.email for user in users}
    found |= {user.get_full_name() for user in users if user.first_name and user.last_name}
    gone = [one.pk for one in patients]
    for patient in patients:
        others = Patient.everything.filter(label=patient.label).exclude(pk__in=gone)
        if len(patient.label) > 3 and not patient.owner_id and not others.exists():
            found.add(patient.label)
    return found


def _leave_to_others(found: rows.Rows) -> list[dict[str, Any]]:
    """Take out of ``found`` what belongs to others' records: which clinic followed or erased them,
    and to which of its nodes their pictures were sent. Returns what to say of it.
    """
    gone = found.get(Clinic, set())
    followings = Following.objects.filter(clinic__in=gone).values_list("pk", "clinic", "patient")
    sent = DicomDelivery.objects.filter(node__clinic__in=gone)
    deliveries = sent.values_list("pk", "node__clinic", "image", "node")
    patients, images = found.get(Patient, set()), found.get(LesionImage, set())
    followed = {pk: clinic for pk, clinic, patient in followings if patient not in patients}
    of_others = [one for one in deliveries if one[2] not in images]
    erased = set(Erasure.objects.filter(clinic__in=gone).values_list("clinic", flat=True))
    nodes = {node for *_, node in of_others}
    clinics = {*followed.values(), *(clinic for _, clinic, *_ in of_others), *erased}
    found.get(Following, set()).difference_update(followed)
    found.get(DicomDelivery, set()).difference_update(pk for pk, *_ in of_others)
    found.get(DicomNode, set()).difference_update(nodes)
    gone -= clinics
    DicomNode.objects.filter(pk__in=nodes).update(
        authorization=Authorization.NONE,
        encrypted_credentials="",
        removed_at=Coalesce("removed_at", timezone.now()),
    )
    Clinic.objects.filter(pk__in=clinics).update(code="")
    why = (
        "Others' records say that it followed them or where it sent their pictures, or it erased "
        "records itself. They have a right to know who it was."
    )
    return [{"what": "names of clinics", "count": len(clinics), "why": why}] if clinics else []


def _archives_touched(found: rows.Rows) -> list[str]:
    """The archives of batches with a picture of the person: each is deleted as a whole, and its
    batch ends.
    """
    lines = BatchRow.objects.filter(pk__in=found.get(BatchRow, ()))
    batches = Batch.objects.filter(pk__in=lines.values("batch")).exclude(archive="")
    touched = list(batches.exclude(pk__in=found.get(Batch, ())))
    for batch in touched:
        Batch.objects.filter(pk=batch.pk).update(archive="")
        Batch.objects.filter(pk=batch.pk, state__in=(*ACTIVE_BATCH, Batch.State.CHECKED)).update(
            state=Batch.State.CANCELLED, lease_expires_at=None
        )
    return [str(batch.archive.name) for batch in touched]


def _pictures_of_others(gone: set[Any]) -> LesionImageQuerySet:
    """The same pictures in other records. They stay, and do not count as traces."""
    same = LesionImage.everything.filter(pk__in=gone).values("sha256")
    return LesionImage.everything.filter(sha256__in=same).exclude(pk__in=gone)


def _seal_and_repoint(found: rows.Rows, users: list[User]) -> list[dict[str, Any]]:
    """Seal the reviews that are erased, and replace the users by a pseudonym in others' records."""
    chain.lock()
    gone: set[Any] = found.get(Review, set())
    theirs = Review.objects.filter(reviewer__in=users).exclude(pk__in=gone)
    changed = set(theirs.values_list("pk", flat=True))
    held = chain.holding(gone | changed)
    chain.seal(gone, held=held, erased=True)
    entries = 0
    if users:
        Opinion.objects.filter(author__in=users).exclude(pk__in=found.get(Opinion, ())).update(
            name=FORMER
        )
        pseudonym: User | None = None
        for authored, key in rows.authored_by([user.pk for user in users]):
            stays = authored.exclude(pk__in=found.get(authored.model, ()))
            if stays.exists():
                pseudonym = pseudonym or _former_member()
                entries += stays.update(**{key: pseudonym})
    chain.seal(changed, held=held, erased=False)
    kept = []
    if gone:
        why = (
            "The chain of signed conclusions proves that no other one was changed. Only the "
            "signatures are kept: no content, no name."
        )
        kept.append({"what": "signatures of conclusions", "count": len(gone), "why": why})
    if entries:
        why = (
            "They belong to the records of others, which are not yours to erase. Instead of you "
            f"they name “{FORMER}”."
        )
        kept.append({"what": "entries in others' records", "count": entries, "why": why})
    return kept


def _former_member() -> User:
    return User.objects.create_user(
        f"former-{uuid4().hex[:12]}@erased.invalid",
        first_name=FORMER.partition(" ")[0],
        last_name=FORMER.partition(" ")[2],
        is_active=False,
        mails_reminders=False,
    )


def _parted(erasure: Erasure) -> list[dict[str, Any]]:
    if not erasure.parted:
        return []
    why = (
        "The person has a right to it."
        if erasure.clinic_id
        else "A clinic has its own right to it, and a duty to keep it. It no longer names you as "
        "its owner. Ask the clinic to erase it."
    )
    return [{"what": "records", "count": len(erasure.parted), "why": why}]


def _copies_at_nodes(patients: list[Patient]) -> list[dict[str, Any]]:
    """Everything sent to DICOM nodes, whatever they answered. Pictures that were moved to another
    record since are included: the nodes' copies still belong to this one.
    """
    of = Q(image__lesion__patient__in=patients) | _sent_as_theirs(patients)
    sent = DicomDelivery.objects.attempted().filter(of)
    counts = sent.order_by("node__address").values_list("node__address")
    why = (
        "The clinic sent them there, under a pseudonym. Copies there are not ours to erase: ask "
        "the clinic to have them erased."
    )
    return [
        {"what": f"pictures sent to {urlsplit(address).hostname}", "count": count, "why": why}
        for address, count in counts.annotate(Count("image", distinct=True))
    ]


def _sent_as_theirs(patients: list[Patient]) -> Q:
    """A condition on deliveries: in a study of these patients."""
    studies = (Q(study_uid__startswith=f"{uids.uid_of(one.pk)}.") for one in patients)
    return reduce(or_, studies, Q(pk__in=()))


def _what_stays() -> list[dict[str, Any]]:
    why = (
        "They show that nothing was left, and erase it again after a backup is restored. Nothing "
        "can be read from them."
    )
    return [{"what": "list of digests of identifiers", "count": 1, "why": why}]


def _said_by_others(count: int) -> dict[str, Any]:
    why = (
        "Others keep a record or a note with this name or address. It is theirs: ask them to "
        "erase or correct it."
    )
    return {"what": "entries of others with the name or the address", "count": count, "why": why}


def _counted(found: rows.Rows, files: list[str]) -> dict[str, int]:
    counts = {
        str(model._meta.verbose_name_plural): len(keys) for model, keys in found.items() if keys
    }
    return dict(sorted(counts.items())) | ({"stored files": len(files)} if files else {})


def _redact_corrections(named: set[str]) -> None:
    """Corrections of other records may say where a picture came from or went to."""
    for row in Correction.objects.order_by().iterator(chunk_size=500):
        said = {"before": row.before, "after": row.after}
        if traces.identifiers_in(said) & named:
            clean = _without(said, named)
            Correction.objects.filter(pk=row.pk).update(**clean)


def _without(value: Any, named: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, named) for name, one in value.items()}
    if isinstance(value, list):
        return [_without(one, named) for one in value]
    return ERASED if traces.identifiers_in(json.dumps(value)) & named else value
