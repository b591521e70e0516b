from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OrderBy, OuterRef, Q, Value
from django.db.models.expressions import Combinable, NegatedExpression
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Cast, Coalesce, Concat
from django.db.models.lookups import Exact, GreaterThan
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from ml.opening.limits import SCREEN_SIDE
from ml.types import MAX_AGE
from screening.formatting import day
from screening.models.base import CurrentManager, Withdrawable
from screening.models.data_key import DataKey
from screening.models.fields import SealedFileField
from screening.models.lesion import Lesion
from screening.models.patient import Patient, rights


class Modality(models.TextChoices):
    """A short form of ISIC's ``image_type``."""

    DERMATOSCOPIC = "dermatoscopic", "Dermatoscopic"
    CLINICAL = "clinical", "Clinical (an ordinary photograph)"


ADULT_FROM = 16
"""Years. The training data contain almost no younger people, so the accuracy for them is
unknown.
"""


def of_child(image: str = "image") -> Q:
    """A condition on rows with an image at ``image``: ``LesionImage.is_of_child``, in SQL."""
    born = f"{image}__lesion__patient__birth_year"
    day = f"{image}__captured_on"
    # Compared as days, because SQLite calls Python for the year of each day.
    young = {f"{day}__gte": _new_year(F(born)), f"{day}__lt": _new_year(F(born) + ADULT_FROM + 1)}
    return Q(**{f"{born}__isnull": False}) & Q(**young)


def _new_year(year: Combinable) -> Cast:
    """The first day of a four-digit year."""
    return Cast(Concat(Cast(year, models.CharField()), Value("-01-01")), models.DateField())


def _file_name(instance: LesionImage, filename: str) -> str:
    """A file name that reveals nothing about the person: a random UUID in one of 256 folders."""
    name = uuid7().hex
    return f"{name[-2:]}/{name}.{filename.rpartition('.')[2]}"


_UNKNOWN_TIME = time.min
"""Within a day, images without a time come before those with one. They may predate stored times, so
images added later are usually later too, as ``created`` would sort them.
"""

Place = tuple[date, time, datetime, UUID]


def place_of(image: str = "", ref: type[F] = F) -> tuple[Any, ...]:
    """``LesionImage.place`` in SQL, for the image at the path ``image``."""
    path = f"{image}__" if image else ""
    return (
        ref(f"{path}captured_on"),
        Coalesce(ref(f"{path}captured_time"), _UNKNOWN_TIME),
        ref(f"{path}created"),
        ref(f"{path}pk"),
    )


def latest_first(image: str = "") -> list[OrderBy]:
    """An ordering of rows by the place of their image, latest first."""
    return [key.desc() for key in place_of(image)]


def is_later(one: tuple[Any, ...], other: tuple[Any, ...]) -> Q:
    """A condition on rows: the place ``one`` comes after the place ``other``.

    Each is ``place_of(...)``, inside OuterRef for a row of the outer query, or the ``place`` of an
    image. Negated with ``~``, it means "the same place or earlier".
    """
    *before, (mine, theirs) = zip(one, other, strict=True)
    later = Q(GreaterThan(mine, theirs))
    for mine, theirs in reversed(before):
        later = Q(GreaterThan(mine, theirs)) | Q(Exact(mine, theirs)) & later
    return later


class LesionImageQuerySet(models.QuerySet["LesionImage"]):
    def visible_to(self, user: User) -> LesionImageQuerySet:
        patients = Patient.objects.visible_to(user)
        return self.filter(
            withdrawn_at=None, lesion__withdrawn_at=None, lesion__patient__in=patients
        )

    def with_rights(self, user: User) -> LesionImageQuerySet:
        """Annotate ``may_write`` and ``may_review``."""
        return self.annotate(**rights(user, "lesion__patient"))

    def kept_for(self, user: User) -> LesionImageQuerySet:
        """Images that ``user`` may correct, withdrawn or not. Start from ``everything``."""
        return self.filter(lesion__patient__in=Patient.everything.writable_by(user))

    def present(self) -> LesionImageQuerySet:
        """Images that are not withdrawn, and whose lesion and patient are not withdrawn either."""
        return self.filter(present(""))

    def withheld_from(self, user: User) -> LesionImageQuerySet:
        """Images on which ``user`` must conclude before seeing what a model or a colleague found.

        This is the only statement of the rule: see ``disclosed``.
        """
        if not user.reviews_blind:  # true of most people, and keeps their queries short
            return self.none()
        blind = Patient.objects.reviewed_blind_by(user)
        return self.filter(lesion__patient__in=blind).exclude(reviews__reviewer=user)

    def latest_first(self) -> LesionImageQuerySet:
        """Order by the moment of capture, as precisely as it is known, not by upload."""
        return self.order_by(*latest_first())

    def before(self, image: LesionImage) -> LesionImageQuerySet:
        return self.filter(is_later(image.place, place_of()))


def present(image: str = "image") -> Q:
    """A condition on rows with an image at ``image``: neither it nor its lesion or patient is
    withdrawn.
    """
    path = f"{image}__" if image else ""
    return Q(
        (f"{path}withdrawn_at", None),
        (f"{path}lesion__withdrawn_at", None),
        (f"{path}lesion__patient__withdrawn_at", None),
    )


def seen(user: User, image: str = "image") -> Q:
    """A condition on rows with an image at ``image``: ``user`` may see the image."""
    return Q(
        (f"{image}__withdrawn_at", None),
        (f"{image}__lesion__withdrawn_at", None),
        (f"{image}__lesion__patient__in", Patient.objects.visible_to(user)),
    )


def disclosed(user: User, image: str = "image") -> NegatedExpression:
    """A condition on rows that reveal findings about the image at ``image``: ``user`` may see
    them.
    """
    return ~Exists(LesionImage.everything.withheld_from(user).filter(pk=OuterRef(image)))


class LesionImage(Withdrawable):
    """One picture of one lesion, taken on one day. Its files hold none of the original's
    metadata.
    """

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="images")
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="uploaded_images"
    )
    captured_on = models.DateField()
    captured_time = models.TimeField(
        null=True, blank=True, help_text="Where the camera was, as far as it is known."
    )
    placed_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="When it took its place among the lesion's images: added, moved or given "
        "another day. An act by someone who was shown the lesion earlier does not take "
        "it into account.",
    )
    modality = models.CharField(max_length=13, choices=Modality, default=Modality.DERMATOSCOPIC)
    file = SealedFileField(upload_to=_file_name, max_length=120)
    thumbnail = SealedFileField(upload_to=_file_name, max_length=120)
    screen = SealedFileField(
        upload_to=_file_name,
        max_length=120,
        blank=True,
        default="",
        db_default="",
        help_text="A copy at screen size. Empty if the picture is smaller, or is older than this "
        "field and has not been shown since.",
    )
    data_key = models.ForeignKey(
        DataKey,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="images",
        help_text="Encrypts its files and maps, even after it moved to another patient. Empty if "
        "they are not encrypted.",
    )
    width = models.PositiveIntegerField(help_text="Pixels, after orientation.")
    height = models.PositiveIntegerField(help_text="Pixels, after orientation.")
    sha256 = models.CharField(max_length=64, help_text="SHA-256 of the file as uploaded.")
    stored_bytes = models.PositiveIntegerField(
        null=True,
        editable=False,
        help_text="Size of its files. Empty if they were stored before sizes were recorded.",
    )
    camera_model = models.CharField(max_length=120, blank=True)
    has_burned_in_text = models.BooleanField(
        default=False,
        editable=False,
        help_text="According to its DICOM file. The picture itself may name the person.",
    )
    is_twin = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="A second copy of the same picture. It came with a merged lesion and keeps what "
        "people recorded on it.",
    )
    is_synthetic = models.BooleanField(default=False, help_text="Drawn by SkinCheck, not skin.")

    # Only on images of the queries named.
    may_write: bool  # with_rights
    may_review: bool
    is_withheld: bool  # records.queries.with_withheld

    objects = CurrentManager.from_queryset(LesionImageQuerySet)()
    everything = LesionImageQuerySet.as_manager()

    class Meta:
        ordering = latest_first()
        # Few images share a day, so the order within a day needs no index.
        indexes = [models.Index(fields=["lesion", "-captured_on"], name="image_by_capture")]
        constraints = [
            *Withdrawable.Meta.constraints,
            models.UniqueConstraint(
                fields=["lesion", "sha256"],
                condition=Q(withdrawn_at__isnull=True, is_twin=False),
                name="same_picture_once_per_lesion",
            ),
            models.CheckConstraint(
                condition=Q(modality__in=Modality.values), name="modality_is_known"
            ),
            models.CheckConstraint(
                condition=Q(width__gt=0) & Q(height__gt=0), name="image_has_pixels"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lesion}, {self.captured_on}"

    def sealing_key(self) -> DataKey:
        """What its files and maps are encrypted with: its patient's key when the first came; the
        one that the patient has now, if that is lost. The row keeps the lost one: some of its files
        are under it, and would open again with the operator's key.
        """
        if self.data_key is None:
            self.data_key = DataKey.of(self.lesion.patient)
            if not self._state.adding:
                keyless = LesionImage.everything.filter(pk=self.pk, data_key=None)
                keyless.update(data_key=self.data_key)
        return DataKey.of(self.lesion.patient) if self.data_key.is_lost else self.data_key

    @property
    def stored_files(self) -> list[FieldFile]:
        return [one for one in (self.file, self.thumbnail, self.screen) if one]

    @property
    def has_screen(self) -> bool:
        """Whether pages show it smaller than it is stored."""
        return max(self.width, self.height) > SCREEN_SIDE

    @property
    def on_page(self) -> str:
        """The rendition that pages show: a ``Rendition`` of ``images.delivery``."""
        return "screen" if self.has_screen else "image"

    of_day = ""
    """What distinguishes it within its day, if ``records.queries.tell_apart`` found several."""

    @property
    def day_label(self) -> str:
        """The text for the image in a list of the lesion's images."""
        return f"{day(self.captured_on)}{self.of_day}"

    @property
    def place(self) -> Place:
        """The sort key of a lesion's images: by capture, earliest first. No other order is used."""
        return (self.captured_on, self.captured_time or _UNKNOWN_TIME, self.created, self.pk)

    @property
    def age(self) -> int | None:
        """The patient's age in the year of capture; None if the birth year is unknown or
        contradicts the day. Reads ``lesion.patient``.
        """
        born = self.lesion.patient.birth_year
        age = None if born is None else self.captured_on.year - born
        return age if age is not None and 0 <= age <= MAX_AGE else None

    @property
    def age_is_unused(self) -> bool:
        """A birth year is recorded but contradicts the day of capture, so no age is used."""
        return self.lesion.patient.birth_year is not None and self.age is None

    @property
    def was_removed(self) -> bool:
        """Whether the lesion is recorded as removed on the day of capture or later. Such a picture
        raises no warning.
        """
        return self.lesion.closed_on is not None and self.captured_on <= self.lesion.closed_on

    @property
    def removed_words(self) -> str:
        """The notice for a picture that ``was_removed``; empty for any other."""
        if not self.was_removed:
            return ""
        return (
            f"{self.lesion}: {self.lesion.closed_words}. This picture, of "
            f"{day(self.captured_on)}, raises no warning. If it has grown back, open it "
            "again, or correct the day."
        )

    def words_on_kind(self, sent: str) -> str:
        """The notice if the picture is not of the modality that it was sent with; else empty.
        sent: empty if none was stated. Then a reading is expected.
        """
        if (sent or Modality.DERMATOSCOPIC) == self.modality:
            return ""
        if self.modality == Modality.CLINICAL:
            is_here = "an ordinary photograph, which is not read for a class"
        else:
            is_here = "dermatoscopic"
        return f"It is here as {is_here}: correct its kind if that is wrong."

    @property
    def is_of_child(self) -> bool:
        """Whether the person may be a child. Only the birth year is known, so a 16-year-old may
        still be 15.
        """
        return self.age is not None and self.age <= ADULT_FROM
