"""Write path of merging duplicates: two lesions of one patient, two patients of one clinic.

Functions as in ``screening.records.services``. Everything in one moves to the other; the first is
withdrawn and records what it was merged into, so that its address leads there. Splitting them again
returns whatever came from it and still exists.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from screening.corrections.consequences import follow
from screening.corrections.journal import (
    checked_reason,
    held,
    note,
    plain,
    require_place,
    require_same_keeper,
    touch,
)
from screening.corrections.moves import (
    bring,
    findings_of,
    hand_over,
    require_acknowledged,
    was_changed,
    was_concluded,
)
from screening.models import (
    SYMPTOMS,
    Alert,
    ChangeMark,
    Comparison,
    Correction,
    CorrectionKind,
    DoctorVisit,
    ExternalIdentifier,
    Histology,
    Lesion,
    LesionImage,
    LesionPosition,
    Modality,
    Patient,
    Reminder,
)
from screening.predictions import outcomes
from screening.predictions import services as prediction_services
from screening.predictions.arrivals import next_moment
from screening.predictions.default_reading import GRAVE
from screening.predictions.queries import counting_reading
from screening.records import closing, plausibility

ATTACHED: dict[str, models.Manager[Any]] = {
    "visits": DoctorVisit.everything,
    "histologies": Histology.everything,
    "positions": LesionPosition.objects,
    "identifiers": ExternalIdentifier.objects,
}
"""What moves with a lesion unchanged, besides its images."""
DETAILS = ("birth_year", "sex", "skin_type")
CLOSED = ("closed_on", "closed_day_is_known", "closed_because", "closed_by_id")


@transaction.atomic
def merge_lesions(
    *, user: User, lesion: Lesion, into: Lesion, reason: str = "", acknowledged: bool = False
) -> Lesion:
    """Move everything in ``lesion`` to ``into``; withdraw ``lesion`` and point it there.

    If both have the same picture, the one with less attached is withdrawn, unless people have said
    something of it. All symptoms of either are marked; the lesion is closed only if both were, and
    no earlier for ``lesion`` than for ``into``. acknowledged: as in ``moves.move_image``.
    """
    reason = checked_reason(reason)
    lesion, into = held(lesion, into, user=user)
    if lesion == into:
        raise ValidationError({"into": "Choose another spot."})
    if lesion.patient_id != into.patient_id:
        raise ValidationError(
            {
                "into": "These spots belong to two patients. Move one of them to the other "
                "patient first."
            }
        )
    require_acknowledged(acknowledged, findings_of(lesion.images.all(), user))
    own = list(LesionImage.everything.filter(lesion=into))
    coming = list(LesionImage.everything.filter(lesion=lesion))
    twice = _once(coming, own, user)
    places = {image.pk: image.placed_at for image in (*coming, *own)}
    before, since = _joined(lesion, into)
    moved = {"images": [image.pk for image in coming]}
    for name, rows in ATTACHED.items():
        moved[name] = list(rows.filter(lesion=lesion).values_list("pk", flat=True))
        rows.filter(pk__in=moved[name]).update(lesion=into, modified=timezone.now())
    bring(coming, into)
    if moved["histologies"] or moved["visits"]:  # corrections of one lesion only
        bring(own, into)
    _one_reminder(lesion, into, moved)
    _retire(lesion, into, user)
    note(
        CorrectionKind.MERGED,
        lesion,
        user=user,
        reason=reason,
        before={
            "moved": moved,
            "twice": twice,
            "places": {str(one.pk): [places[one.pk], one.placed_at] for one in (*coming, *own)},
            "into": before,
            "since": since,
        },
        after={"merged_into": into.pk, "label": into.label},
        beside=into,
    )
    touch(into.patient)
    prediction_services.read_with_new_details(image__lesion=into)
    follow([*coming, *own], into)
    into.refresh_from_db()
    return into


@transaction.atomic
def merge_patients(
    *, user: User, patient: Patient, into: Patient, reason: str = "", acknowledged: bool = False
) -> Patient:
    """Move all lesions of ``patient`` to ``into``; withdraw ``patient`` and point it there.

    Age, sex and skin type that ``into`` lacks are taken from ``patient``. Images are read again if
    the model would get different details. acknowledged: as in ``moves.move_image``; the user also
    knows that the two differ in birth year or sex.
    """
    reason = checked_reason(reason)
    patient, into = held(patient, into, user=user)
    if patient == into:
        raise ValidationError({"into": "Choose another patient."})
    require_same_keeper(patient, into, "into")
    differing = _differing(patient, into)
    images = LesionImage.objects.present().filter(lesion__patient=patient)
    require_acknowledged(acknowledged, differing, findings_of(images, user))
    coming = Lesion.everything.select_for_update(no_key=True).filter(patient=patient)
    lesions = list(coming.order_by("created", "pk"))
    identifiers = list(patient.identifiers.values_list("pk", flat=True))
    moved = {
        "lesions": [lesion.pk for lesion in lesions],
        "images": list(images.values_list("pk", flat=True)),
        "identifiers": identifiers,
    }
    before = {name: getattr(into, name) for name in DETAILS if not getattr(into, name)}
    for name in before:
        setattr(into, name, getattr(patient, name))
    into.save()
    called = hand_over(lesions, into, user=user)
    plausibility.require_birth_year(into)
    ExternalIdentifier.objects.filter(pk__in=identifiers).update(patient=into)
    _retire(patient, into, user)
    note(
        CorrectionKind.MERGED,
        patient,
        user=user,
        reason=reason,
        before={
            "moved": moved,
            "called": called,
            "into": before,
            "since": {name: getattr(into, name) for name in before},
        },
        after={"merged_into": into.pk, "label": into.label},
    )
    prediction_services.read_with_new_details(image__lesion__patient=into)
    return into


def successor(record: Any) -> list[Any]:
    """The target of a merged record's URL: what it was merged into, following further merges. Empty
    for a record that was not merged.
    """
    if not isinstance(record, Lesion | Patient):
        return []
    found: list[Any] = []
    merged = type(record).everything.exclude(merged_into=None).select_related("merged_into")
    while (step := merged.filter(pk=record.pk).first()) is not None:
        record = step.merged_into
        found = [record]
    return found


def at_stake(record: Any, user: User) -> str:
    """What the user must know before splitting ``record`` off, in words: findings on its pictures
    since the merge, and pictures that do not return. Empty if there is nothing to know.
    """
    found = successor(record)
    if not found:
        return ""
    (into,), merged = found, _merger(record)
    moved = merged.before["moved"]
    came = LesionImage.objects.filter(pk__in=moved.get("images", ()))
    if isinstance(record, Patient):
        lesions = Lesion.everything.filter(pk__in=moved["lesions"], patient=into)
        going = LesionImage.objects.present().filter(lesion__in=lesions)
        staying = came.exclude(lesion__in=lesions)
    else:
        going = came.filter(lesion=into)
        since = into.images.filter(placed_at__gte=merged.created).values("pk")
        since = since.exclude(pk__in=list(merged.before.get("places", {})))
        elsewhere = came.exclude(lesion=into).values("pk")
        staying = LesionImage.objects.filter(Q(pk__in=since) | Q(pk__in=elsewhere))
    texts = [findings_of(going, user, merged.created)]
    if count := staying.count():
        these = "1 picture that" if count == 1 else f"{count} pictures that"
        texts.append(f"{these} came with it, or came since, will not go back with it.")
    return " ".join(filter(None, texts))


def take_apart(record: Any, into: Any, *, user: User) -> None:
    """Return to ``record``, which has just been restored, everything that came from it and is still
    with its successor ``into``.

    ``into`` gets its former values back unless somebody has changed them since.
    """
    merger = _merger(record)
    last = merger.before
    moved = last["moved"]
    if isinstance(record, Patient):
        lesions = Lesion.everything.filter(pk__in=moved["lesions"], patient=into)
        hand_over(lesions.order_by("created", "pk"), record, user=user, called=last.get("called"))
        own = ExternalIdentifier.objects.filter(pk__in=moved["identifiers"], patient=into)
        own.update(patient=record)
    else:
        there = LesionImage.everything.filter(lesion=into)
        own_images = list(there.exclude(pk__in=moved["images"]))
        images = list(there.filter(pk__in=moved["images"]))
        settled = own_images if was_concluded(into, merger.created) else [*images, *own_images]
        places = {image.pk: _place_before(image, last) for image in settled}
        for name, rows in {**ATTACHED, "reminder": Reminder.objects}.items():
            own = rows.filter(pk__in=moved[name], lesion=into)
            own.update(lesion=record, modified=timezone.now())
        bring(images, record)
        for image in settled:
            image.placed_at = places[image.pk]
            image.save(update_fields=["placed_at", "modified"])
        twice = LesionImage.everything.filter(pk__in=last["twice"]).exclude(withdrawn_at=None)
        for image in twice:  # they are in different lesions again
            require_place(image)
            image.withdrawn_at, image.withdrawn_by, image.withdrawn_because = None, None, ""
            image.save()
            note(CorrectionKind.RESTORED, image, user=user)
        closing.reopen_unless_removed(user=user, lesion=into)
        if any(one.was_removed and was_changed(one, merger.created) for one in images):
            closing.reopen(user=user, lesion=record)  # whoever closed it was shown another day
            record.refresh_from_db()
        into.refresh_from_db()
    _give_back(into, merger)
    if isinstance(record, Lesion):
        follow([*images, *twice], record, into)
    touch(into)


def _place_before(image: LesionImage, last: dict[str, Any]) -> datetime:
    """The time it took its place before the merge ``last``, unless it got another one since."""
    before, since = last.get("places", {}).get(str(image.pk), ("", ""))
    is_same = image.placed_at.isoformat() == since
    return datetime.fromisoformat(before) if is_same else image.placed_at


def _give_back(into: Any, merger: Correction) -> None:
    """Restore what the merge changed in ``into``, except values that somebody changed since. A
    lesion that got another picture or symptom since is not closed.
    """
    before, since = merger.before["into"], merger.before.get("since", {})
    now = plain({name: getattr(into, name) for name in since})
    same = {name for name in since if now[name] == since[name]}
    if str(into.pk) != merger.after["merged_into"]:  # merged again since, with all its changes
        return
    if isinstance(into, Lesion):
        got_more = into.images.filter(placed_at__gte=merger.created).exists() or bool(
            into.symptoms and into.symptoms_at and into.symptoms_at > merger.created
        )
        if "symptoms_at" not in same:  # marked since, so no symptom is removed
            same -= {*SYMPTOMS}
        if got_more or not same.issuperset(name for name in CLOSED if name in since):
            same -= {*CLOSED}
    for name in same:
        setattr(into, name, into._meta.get_field(name).to_python(before[name]))
    into.save()


def _merger(record: Any) -> Correction:
    """The last merge of ``record`` into another."""
    merged = Correction.objects.filter(kind=CorrectionKind.MERGED, before__has_key="moved")
    if isinstance(record, Patient):
        return merged.filter(patient=record, lesion=None)[0]
    return merged.filter(lesion=record)[0]


def _once(coming: list[LesionImage], own: list[LesionImage], user: User) -> list[Any]:
    """Withdraw one of each pair of identical pictures, unless both are needed; returns the
    identifiers.
    """
    by_picture = {image.sha256: image for image in own if not image.is_withdrawn}
    out = []
    for image in coming:
        same = by_picture.get(image.sha256)
        if same is None or image.is_withdrawn:
            continue
        less = min((same, image), key=lambda one: _weight(one, user))
        if _is_needed(less):
            continue
        less.withdrawn_at, less.withdrawn_by = next_moment(less.lesion), user
        less.withdrawn_because = "The same picture was on both spots that were merged."
        less.save()
        note(CorrectionKind.WITHDRAWN, less, user=user, reason=less.withdrawn_because)
        out.append(less.pk)
    return out


def _is_needed(image: LesionImage) -> bool:
    """Whether people have said something of the picture, or an alert is open, that would go out of
    sight with it.
    """
    pair = Q(earlier=image) | Q(later=image)
    said: tuple[models.QuerySet[Any], ...] = (
        image.reviews.all(),
        image.outlines.all(),
        ChangeMark.objects.filter(comparison__in=Comparison.objects.filter(pair)),
        Alert.objects.open().filter(pair),
    )
    return any(found.exists() for found in said)


def _differing(patient: Patient, into: Patient) -> str:
    """Contradictions between the two on birth year or sex, in words; empty if none."""
    words = []
    if patient.birth_year and into.birth_year and patient.birth_year != into.birth_year:
        words.append(
            f"“{patient}” was born in {patient.birth_year}, “{into}” in {into.birth_year}."
        )
    if patient.sex and into.sex and patient.sex != into.sex:
        sexes = patient.get_sex_display().lower(), into.get_sex_display().lower()
        words.append(f"“{patient}” is {sexes[0]}, “{into}” {sexes[1]}.")
    if words:
        words.append(f"If they are one person, what “{into}” says will count.")
    return " ".join(words)


def _weight(image: LesionImage, user: User) -> tuple[int, int, bool, bool, int, bool, int, int]:
    """What withdrawing it would lose: a warning that nothing has settled, by severity; then any
    warning; then a dermatoscopic picture, first of all one without a reading, which may become a
    warning; then the severity of its reading, whether that is unreviewed, and its reviews and
    readings. See also ``_is_needed``.
    """
    reading, is_concluded = counting_reading(image), image.reviews.settling().exists()
    told = reading.outcome_told if reading else ""
    warning = outcomes.rank(told if told in GRAVE else "")
    is_settled = reading is not None and outcomes.is_settled(reading, user)
    is_dermatoscopic = image.modality == Modality.DERMATOSCOPIC
    return (
        -(outcomes.NOTHING if is_settled else warning),
        -warning,
        is_dermatoscopic and reading is None,
        is_dermatoscopic,
        -outcomes.rank(told),
        reading is not None and not is_concluded,
        image.reviews.count(),
        image.predictions.finished().count(),
    )


def _joined(lesion: Lesion, into: Lesion) -> tuple[dict[str, Any], dict[str, Any]]:
    """Copy to ``into`` what ``lesion`` has and it lacks; returns the changed values, before and
    after. Raises ValidationError for notes that do not fit.
    """
    names = ("body_site", "notes", *SYMPTOMS, "symptoms_at", *CLOSED)
    before = {name: getattr(into, name) for name in names}
    into.body_site = into.body_site or lesion.body_site
    if lesion.notes and lesion.notes not in into.notes:
        added = f"From {lesion}: {lesion.notes}"
        into.notes = f"{into.notes}\n\n{added}".strip()
        if len(into.notes) > (Lesion._meta.get_field("notes").max_length or 0):
            text = "The notes of both are too long together. Shorten those of one spot first."
            raise ValidationError({"into": text})
    for name in SYMPTOMS:
        setattr(into, name, getattr(into, name) or getattr(lesion, name))
    if into.symptoms:
        into.symptoms_at = next_moment(lesion, into)
    if into.closed_on and (lesion.closed_on is None or lesion.closed_on < into.closed_on):
        into.closed_on, into.closed_by, into.closed_because = None, None, ""
        into.closed_day_is_known = False
    into.save()
    since = {name: getattr(into, name) for name in names if before[name] != getattr(into, name)}
    return {name: before[name] for name in since}, since


def _one_reminder(lesion: Lesion, into: Lesion, moved: dict[str, list[Any]]) -> None:
    """Keep one reminder: of two active ones the earlier, else the active one, else the lesion's
    own.
    """
    moved["reminder"] = []
    coming = Reminder.objects.filter(lesion=lesion).first()
    own = Reminder.objects.filter(lesion=into).first()
    if coming is None or (own is not None and not coming.is_active):
        return
    if own is None:
        coming.lesion = into
        coming.save()
        moved["reminder"] = [coming.pk]
        return
    if own.is_active:
        if coming.rings_on < own.rings_on:
            own.due_on, own.snoozed_until = coming.due_on, coming.snoozed_until
        own.interval_months = min(own.interval_months, coming.interval_months)
        own.save()
        return
    for name in ("set_by", "interval_months", "due_on", "snoozed_until", "stopped_at"):
        setattr(own, name, getattr(coming, name))
    own.save()


def _retire(record: Any, into: Any, user: User) -> None:
    record.withdrawn_at, record.withdrawn_by = timezone.now(), user
    record.withdrawn_because = f"Merged into {into}."
    record.merged_into = into
    record.save()
