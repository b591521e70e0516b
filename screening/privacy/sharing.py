"""Links to a record for a doctor without an account: created, opened, ended; and their opinions.

A link is valid only while its creator could get in and may change the record. Every opening queries
the database, so that an ended link is closed in every process at once.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.second_factors import admitted
from screening.models import Lesion, LesionImage, Opinion, Patient, Share, ShareOpening
from screening.models.image import LesionImageQuerySet
from screening.models.share import WRONG_CODES
from screening.privacy import emails
from screening.write_access import require_writable

LONGEST_DAYS = 90
NOTED_AGAIN_AFTER = timedelta(hours=1)
OPINIONS = 20
"""The maximum number of opinions per link: anyone who has it can write."""


@transaction.atomic
def share(
    *,
    user: User,
    patient: Patient,
    lesion: Lesion | None = None,
    recipient: str,
    days: int,
    code: str = "",
    message: str = "",
) -> tuple[Share, str]:
    """Create a link. Its secret is returned only here.

    code: asked for before anything is shown; give it to the doctor by another channel than the
    link. message: to the recipient, as in a referral.
    """
    require_writable(user=user, patient=patient)
    if not 1 <= days <= LONGEST_DAYS:
        raise ValidationError({"days": f"A link works for 1 to {LONGEST_DAYS} days."})
    if code and len(code) < 6:
        raise ValidationError({"code": "Give at least six characters, or none."})
    secret = secrets.token_urlsafe(32)
    made = Share(
        patient=patient,
        lesion=lesion,
        shared_by=user,
        recipient=recipient.strip(),
        message=message.strip(),
        secret_sha256=Share.digest(secret),
        code_hash=make_password(code) if code else "",
        expires_at=timezone.now() + timedelta(days=days),
    )
    made.full_clean()
    made.save()
    return made, secret


@transaction.atomic
def revoke(*, user: User, share: Share) -> None:
    """End the link. Ending it again keeps the first date."""
    require_writable(user=user, patient=share.patient)
    Share.objects.filter(pk=share.pk, revoked_at=None).update(revoked_at=timezone.now())


def opened(secret: str) -> Share:
    """The link, if it is open. Raises Share.DoesNotExist.

    The record is not loaded: what is loaded counts as looked at, and a code may be asked for first.
    """
    active = Share.objects.active().select_related("shared_by").filter(admitted("shared_by__"))
    found = active.get(secret_sha256=Share.digest(secret))
    if not Patient.objects.writable_by(found.shared_by).filter(pk=found.patient_id).exists():
        raise Share.DoesNotExist
    return found


def is_code(share: Share, code: str) -> bool:
    """Whether this is the link's code. Too many wrong codes close the link, of which its creator
    is told.

    An attempt is counted before the code is checked, and taken back if it is right, so that
    simultaneous guesses cannot exceed the limit.
    """
    attempt = _count_attempt(share)
    if not attempt:
        return False
    if check_password(code, share.code_hash):
        Share.objects.filter(pk=share.pk).update(wrong_codes=F("wrong_codes") - 1)
        return True
    if attempt == WRONG_CODES:
        emails.tell_of_closed_link(share)
    return False


@transaction.atomic
def _count_attempt(share: Share) -> int:
    """Which one it is; 0 if the link takes no more. The row stays locked until it is read."""
    link = Share.objects.filter(pk=share.pk)
    if not link.filter(wrong_codes__lt=WRONG_CODES).update(wrong_codes=F("wrong_codes") + 1):
        return 0
    return link.values_list("wrong_codes", flat=True).get()


def lesions_of(share: Share) -> QuerySet[Lesion]:
    shown = Lesion.objects.filter(patient=share.patient)
    return shown.filter(pk=share.lesion_id) if share.lesion_id else shown


def images_of(share: Share) -> LesionImageQuerySet:
    return LesionImage.objects.filter(lesion__in=lesions_of(share))


def note(share: Share, what: str, image: LesionImage | None = None) -> None:
    """Note an opening; only the first within an hour, or whoever has the link fills the table."""
    now = timezone.now()
    opening = {"share": share, "what": what, "image": image}
    lately = ShareOpening.objects.filter(created__range=(now - NOTED_AGAIN_AFTER, now))
    if not lately.filter(**opening).exists():
        ShareOpening.objects.create(**opening)


@transaction.atomic
def leave_opinion(*, share: Share, name: str, text: str, author: User | None = None) -> Opinion:
    """Store the doctor's opinion. It settles nothing."""
    Share.objects.select_for_update(no_key=True).get(pk=share.pk)  # the others are counted
    if share.opinions.count() >= OPINIONS:
        raise ValidationError("This link takes no more opinions.")
    opinion = Opinion(
        share=share, lesion=share.lesion, name=name.strip(), text=text.strip(), author=author
    )
    opinion.full_clean()
    opinion.save()
    return opinion
