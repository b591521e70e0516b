from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When

from accounts.models import Clinic, User
from accounts.roles import REVIEWERS
from screening.models.base import UUIDModel
from screening.models.patient import Patient


class FollowingState(models.TextChoices):
    WAITING = "waiting", "Waiting for an answer"
    FOLLOWS = "follows", "The clinic follows the record"
    ENDED = "ended", "Ended"
    DECLINED = "declined", "Declined by the clinic"
    WITHDRAWN = "withdrawn", "Withdrawn by whoever invited"


class FollowingQuerySet(models.QuerySet["Following"]):
    def visible_to(self, user: User) -> FollowingQuerySet:
        """Of the user's own records; and, of clinics where they conclude, the invitations that wait
        and those that the clinic answered.
        """
        of_clinics = Q(clinic__in=Clinic.objects.with_member(user, REVIEWERS))
        declined = Q(ended_at__isnull=False) & ~Q(ended_by=F("invited_by"))
        answered = of_clinics & (Q(accepted_at__isnull=False) | declined)
        own, waiting = self.owned_by(user), self.answerable_by(user)
        of = Q(pk__in=own.values("pk")) | Q(pk__in=waiting.values("pk"))
        return self.filter(answered | of)

    def waiting(self) -> FollowingQuerySet:
        """Unanswered invitations to a record that exists."""
        there = Q(patient__withdrawn_at=None, patient__owner__isnull=False)
        return self.filter(there, accepted_at=None, ended_at=None)

    def standing(self) -> FollowingQuerySet:
        """Followings in force: the clinic sees the record because its owner invited it."""
        return self.filter(
            accepted_at__isnull=False, ended_at=None, patient__clinic=F("clinic")
        ).exclude(patient__owner=None)

    def with_state(self) -> FollowingQuerySet:
        """state: a ``FollowingState``."""
        follows = Q(patient__clinic=F("clinic"), patient__owner__isnull=False, ended_at=None)
        state = Case(
            When(accepted_at=None, ended_at=None, then=Value(FollowingState.WAITING)),
            When(accepted_at=None, ended_by=F("invited_by"), then=Value(FollowingState.WITHDRAWN)),
            When(accepted_at=None, then=Value(FollowingState.DECLINED)),
            When(follows, then=Value(FollowingState.FOLLOWS)),
            default=Value(FollowingState.ENDED),
            output_field=models.CharField(),
        )
        return self.annotate(state=state)

    def owned_by(self, user: User) -> FollowingQuerySet:
        """Followings of the user's own records, including records that a clinic has withdrawn."""
        if user.bound_clinic is not None:
            return self.none()
        return self.filter(patient__owner=user)

    def answerable_by(self, user: User) -> FollowingQuerySet:
        """Invitations that ``user`` may accept or decline for a clinic."""
        return self.waiting().filter(clinic__in=Clinic.objects.with_member(user, REVIEWERS))


class Following(UUIDModel):
    """The owner of a record invites a clinic to it. Once accepted, the record is the clinic's too
    (``Patient.clinic``), until the owner ends it. Rows stay.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="followings")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="followings")
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="followings"
    )
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="accepted_followings",
    )
    label_before = models.CharField(
        max_length=80,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="What the owner called the record, if the clinic gave it another label.",
    )
    ended_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When it ended. If it never began, when it was declined or withdrawn.",
    )
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="ended_followings",
    )

    objects = FollowingQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(accepted_at=None, ended_at=None),
                name="one_waiting_following_per_patient",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None, accepted_by=None)
                | Q(accepted_at__isnull=False, accepted_by__isnull=False),
                name="accepted_following_has_a_person",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by=None)
                | Q(ended_at__isnull=False, ended_by__isnull=False),
                name="ended_following_has_a_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.clinic_id}, {self.created:%Y-%m-%d}"

    @property
    def is_waiting(self) -> bool:
        return self.accepted_at is None and self.ended_at is None
