from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import TruncDate
from django.utils import timezone

from accounts.models import User
from ml.types import Outcome as ModelOutcome
from screening.models.base import UUIDModel
from screening.models.image import ADULT_FROM, LesionImage, disclosed, of_child, seen
from screening.models.lesion import SYMPTOMS

MAX_ATTEMPTS = 3


class State(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Being read"
    SUCCEEDED = "succeeded", "Read"
    FAILED = "failed", "Failed"


ACTIVE = (State.QUEUED, State.RUNNING)


class Outcome(models.TextChoices):
    URGENT = ModelOutcome.URGENT.value, "Urgent"
    SEE_DOCTOR = ModelOutcome.SEE_DOCTOR.value, "See a doctor"
    MONITOR = ModelOutcome.MONITOR.value, "Monitor"
    NOT_ASSESSABLE = ModelOutcome.NOT_ASSESSABLE.value, "Not assessable"


_HAS_SYMPTOM = Q.create(
    [(f"image__lesion__{symptom}", True) for symptom in SYMPTOMS], connector=Q.OR
)
_SYMPTOM_IS_THERE = Q(image__lesion__closed_on=None) | Q(
    image__lesion__closed_on__lt=TruncDate("image__lesion__symptoms_at")
)
"""``Lesion.symptoms_now`` in SQL, for a lesion that has one."""
_BY_SYMPTOM = Q(
    _HAS_SYMPTOM, _SYMPTOM_IS_THERE, outcome__in=(Outcome.MONITOR, Outcome.NOT_ASSESSABLE)
)
# JSON's null satisfies neither condition.
_READ_AS_CHILD = Q(context__age__gte=0, context__age__lte=ADULT_FROM)
_WATCHED = Q(outcome=Outcome.MONITOR)
RAISED_AT_FIRST = _BY_SYMPTOM | Q(_WATCHED & _READ_AS_CHILD)
"""A condition on readings: advised to see a doctor although the reading is milder, by the age that
the reading used.
"""
RAISED = (
    _BY_SYMPTOM
    | Q(_WATCHED & Q(told_until=None) & of_child())
    | Q(_WATCHED & Q(told_until__isnull=False) & _READ_AS_CHILD)
)
"""The same, by the present age or, for a superseded reading, by the age at the time."""
TOLD = Case(When(RAISED, then=Value(Outcome.SEE_DOCTOR.value)), default=F("outcome"))
"""``Prediction.outcome_told`` in SQL."""


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def visible_to(self, user: User) -> PredictionQuerySet:
        return self.filter(seen(user)).disclosed_to(user)

    def disclosed_to(self, user: User) -> PredictionQuerySet:
        return self.filter(disclosed(user))

    def active(self) -> PredictionQuerySet:
        return self.filter(state__in=ACTIVE)

    def claimable(self) -> PredictionQuerySet:
        """Predictions that a worker may start now. Records that are being erased are not read."""
        rested = Q(rests_until=None) | Q(rests_until__lte=timezone.now())
        # No join: the claim is an UPDATE, which must test the state of the row itself.
        leaves = LesionImage.everything.filter(
            pk=OuterRef("image"), lesion__patient__erased_from__isnull=False
        )
        return self.filter(rested, ~Exists(leaves), state=State.QUEUED)

    def finished(self) -> PredictionQuerySet:
        return self.filter(state=State.SUCCEEDED)

    def counting(self) -> PredictionQuerySet:
        """The one reading of each image that counts: see ``screening.predictions.outcomes``."""
        return self.filter(told_from__isnull=False, told_until=None)

    def told(self, outcome: str) -> PredictionQuerySet:
        """Predictions that show the person ``outcome``."""
        return self.alias(told=TOLD).filter(told=outcome)

    def latest_first(self) -> PredictionQuerySet:
        return self.order_by("-created", "-pk")


class Prediction(UUIDModel):
    """One model version's reading of one image.

    QUEUED -> RUNNING -> SUCCEEDED | FAILED; an expired lease returns RUNNING to QUEUED. Only
    ``screening.predictions`` changes the status. A finished prediction is never changed.
    """

    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="predictions")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="requested_predictions"
    )
    model_version = models.CharField(max_length=40)
    is_bulk = models.BooleanField(
        default=False,
        editable=False,
        help_text="Nobody is waiting for it. Readings that somebody waits for go first.",
    )

    state = models.CharField(max_length=9, choices=State, default=State.QUEUED, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    setbacks = models.PositiveSmallIntegerField(
        default=0,
        editable=False,
        help_text="How often it was postponed because storage or the database was unavailable. "
        "These do not count as attempts.",
    )
    rests_until = models.DateTimeField(
        null=True, editable=False, help_text="Not claimed before then, after a setback."
    )
    rung_at = models.DateTimeField(
        null=True,
        default=timezone.now,
        editable=False,
        help_text="When the workers were last notified. Empty if they are to be notified again.",
    )
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    failure = models.CharField(max_length=200, blank=True, editable=False)

    outcome = models.CharField(max_length=14, choices=Outcome, blank=True, editable=False)
    reason = models.CharField(max_length=40, blank=True, editable=False)
    remarks = models.JSONField(
        default=list,
        editable=False,
        help_text="What else is wrong with the picture, in the words of ``reason``.",
    )
    p_malignant = models.FloatField(null=True, editable=False)
    probabilities = models.JSONField(default=dict, editable=False, help_text="Calibrated.")
    balanced_probabilities = models.JSONField(default=dict, editable=False)
    image_logits = models.JSONField(default=dict, editable=False)
    context = models.JSONField(
        default=dict, editable=False, help_text="Age, sex and localization as given to the model."
    )
    context_terms = models.JSONField(
        default=dict, editable=False, help_text="Logits that each field of the context added."
    )
    in_distribution = models.FloatField(null=True, editable=False)
    weights_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    thresholds_version = models.CharField(max_length=40, blank=True, editable=False)
    duration_ms = models.PositiveIntegerField(null=True, editable=False)
    told_from = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When it became the reading of its image that counts. Empty if it never did.",
    )
    told_until = models.DateTimeField(
        null=True, editable=False, help_text="When another reading replaced it. Empty if none has."
    )

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [
            models.Index(fields=["state", "rung_at"], name="prediction_queue"),
            models.Index(fields=["state", "is_bulk", "created"], name="prediction_next"),
            models.Index(fields=["image", "-created"], name="prediction_by_image"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["image", "model_version"],
                condition=Q(state__in=ACTIVE),
                name="one_active_prediction_per_image_and_model",
            ),
            models.UniqueConstraint(
                fields=["image"],
                condition=Q(told_from__isnull=False, told_until__isnull=True),
                name="one_reading_of_an_image_counts",
            ),
            models.CheckConstraint(
                condition=Q(told_from__isnull=True, told_until__isnull=True)
                | Q(told_from__isnull=False, state=State.SUCCEEDED),
                name="only_succeeded_prediction_counts",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.SUCCEEDED)
                | (~Q(outcome="") & ~Q(weights_sha256="") & Q(finished_at__isnull=False)),
                name="succeeded_prediction_has_result",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.FAILED) | (~Q(failure="") & Q(finished_at__isnull=False)),
                name="failed_prediction_has_reason",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.RUNNING) | Q(lease_expires_at__isnull=False),
                name="running_prediction_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(state=State.SUCCEEDED) | Q(outcome=""),
                name="only_succeeded_prediction_has_outcome",
            ),
            models.CheckConstraint(
                condition=Q(p_malignant__isnull=True) | Q(p_malignant__gte=0, p_malignant__lte=1),
                name="p_malignant_between_0_and_1",
            ),
            models.CheckConstraint(
                condition=Q(attempts__lte=MAX_ATTEMPTS), name="attempts_are_capped"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.image_id} by {self.model_version}: {self.state}"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def outcome_told(self) -> str:
        """The outcome shown to the person: at least "see a doctor" for a lesion with symptoms, and
        never "monitor" for a child. A superseded reading keeps what was shown.

        Reads ``image.lesion.patient``: select it in lists. Empty until the prediction is finished.
        """
        return self._raised(self._was_of_child if self.told_until else self.image.is_of_child)

    @property
    def outcome_told_at_first(self) -> str:
        """``outcome_told`` by the age that the reading used: before a birth year was corrected."""
        return self._raised(self._was_of_child)

    @property
    def _was_of_child(self) -> bool:
        age = self.context.get("age")
        return age is not None and 0 <= age <= ADULT_FROM

    def _raised(self, is_of_child: bool) -> str:
        milder = self.outcome in (Outcome.MONITOR, Outcome.NOT_ASSESSABLE)
        if milder and self.image.lesion.symptoms_now:
            return Outcome.SEE_DOCTOR.value
        if self.outcome == Outcome.MONITOR and is_of_child:
            return Outcome.SEE_DOCTOR.value
        return self.outcome

    @property
    def is_grave(self) -> bool:
        """Whether the person is advised to see a doctor, soon or urgently."""
        return self.outcome_told in (Outcome.URGENT, Outcome.SEE_DOCTOR)

    @property
    def counts(self) -> bool:
        """Whether this is the one reading of its image that counts."""
        return self.told_from is not None and self.told_until is None
