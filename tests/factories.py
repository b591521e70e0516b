"""Rows for tests, each complete. Traits name the special cases; nothing is random."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from io import BytesIO

import factory
from allauth.account.models import EmailAddress
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone
from PIL import Image, ImageDraw

from accounts.models import Agreement, Clinic, Membership, User
from accounts.roles import Role
from ml.diagnoses import Diagnosis
from ml.types import MEASURES_VERSION, REGISTRATION_VERSION
from screening.images import synthetic
from screening.models import (
    SYMPTOMS,
    Alert,
    Batch,
    BatchRow,
    ChangeMark,
    Comparison,
    Consent,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    DicomDelivery,
    DicomNode,
    DoctorVisit,
    Erasure,
    Event,
    Export,
    Following,
    Histology,
    ImageScale,
    Lesion,
    LesionImage,
    LesionPosition,
    Measurement,
    Outcome,
    Outline,
    Patient,
    Prediction,
    PredictionMaps,
    Reminder,
    Review,
    State,
    Webhook,
)
from screening.models.signatures import sign
from screening.predictions import default_reading
from screening.reviews import chain

PASSWORD = "correct horse battery staple"


@cache
def picture(seed: int = 0) -> bytes:
    """A synthetic lesion as JPEG bytes."""
    return synthetic.jpeg(synthetic.draw_lesion(seed=seed, size=(300, 225)))


def count_rows() -> None:
    """Updates the planner's table statistics, as a database in use does automatically."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.org")
    password = factory.django.Password(PASSWORD)
    address = factory.RelatedFactory("tests.factories.EmailAddressFactory", "user")


class EmailAddressFactory(factory.django.DjangoModelFactory):
    """Of its user, confirmed."""

    class Meta:
        model = EmailAddress

    email = factory.SelfAttribute("user.email")
    verified = True
    primary = True


class ClinicFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Clinic

    name = factory.Sequence(lambda n: f"Clinic {n}")


class AgreementFactory(factory.django.DjangoModelFactory):
    """To the texts; with ``clinic``: its confirmation that its patients consent."""

    class Meta:
        model = Agreement

    user = factory.SubFactory(UserFactory)
    version = "0123456789ab"


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    clinic = factory.SubFactory(ClinicFactory)
    role = Role.CLINICIAN


class PatientFactory(factory.django.DjangoModelFactory):
    """A clinic's patient; ``own=True``: someone who tracks themselves."""

    class Meta:
        model = Patient

    class Params:
        own = factory.Trait(clinic=None, owner=factory.SubFactory(UserFactory))

    clinic = factory.SubFactory(ClinicFactory)
    label = factory.Sequence(lambda n: f"P-{n:04}")
    birth_year = 1960
    sex = "female"


class ConsentFactory(factory.django.DjangoModelFactory):
    """To research, as it stands."""

    class Meta:
        model = Consent

    patient = factory.SubFactory(PatientFactory)
    recorded_by = factory.SubFactory(UserFactory)
    version = "0123456789ab"


class FollowingFactory(factory.django.DjangoModelFactory):
    """An invitation that waits; ``accepted=True``: the clinic follows the record."""

    class Meta:
        model = Following

    class Params:
        accepted = factory.Trait(
            patient=factory.SubFactory(
                PatientFactory,
                clinic=factory.SelfAttribute("..clinic"),
                owner=factory.SelfAttribute("..invited_by"),
            ),
            accepted_at=factory.LazyFunction(timezone.now),
            accepted_by=factory.SubFactory(UserFactory),
        )

    invited_by = factory.SubFactory(UserFactory)
    clinic = factory.SubFactory(ClinicFactory)
    patient = factory.SubFactory(
        PatientFactory, clinic=None, owner=factory.SelfAttribute("..invited_by")
    )


class LesionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Lesion

    patient = factory.SubFactory(PatientFactory)
    label = factory.Sequence(lambda n: f"Lesion {n}")
    body_site = "back"

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        if any(kwargs.get(symptom) for symptom in SYMPTOMS):
            kwargs.setdefault("symptoms_at", timezone.now())
        return super()._create(model_class, *args, **kwargs)


class LesionImageFactory(factory.django.DjangoModelFactory):
    """An image whose files exist; nothing is queued for it."""

    class Meta:
        model = LesionImage

    lesion = factory.SubFactory(LesionFactory)
    uploaded_by = factory.SubFactory(UserFactory)
    captured_on = date(2026, 3, 1)
    file = factory.LazyFunction(lambda: ContentFile(picture(), name="image.jpg"))
    thumbnail = factory.LazyFunction(lambda: ContentFile(picture(), name="thumbnail.jpg"))
    width = 300
    height = 225
    sha256 = factory.Sequence(lambda n: f"{n + 1:064x}")
    is_synthetic = True


class LesionPositionFactory(factory.django.DjangoModelFactory):
    """On the left of the upper back."""

    class Meta:
        model = LesionPosition

    lesion = factory.SubFactory(LesionFactory)
    placed_by = factory.SubFactory(UserFactory)
    view = "back"
    x = 0.45
    y = 0.3
    region = "upper back"
    side = "left"


class PredictionFactory(factory.django.DjangoModelFactory):
    """Finished with ``monitor``. Traits: ``queued``, ``running``, ``failed``.

    A finished one counts if the rule lets it.
    """

    class Meta:
        model = Prediction

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        prediction = super()._create(model_class, *args, **kwargs)
        if prediction.state == State.SUCCEEDED:
            default_reading.count(prediction)
        return prediction

    class Params:
        queued = factory.Trait(
            state=State.QUEUED,
            attempts=0,
            outcome="",
            weights_sha256="",
            p_malignant=None,
            probabilities={},
            balanced_probabilities={},
            finished_at=None,
        )
        running = factory.Trait(
            queued=True,
            state=State.RUNNING,
            attempts=1,
            lease_expires_at=factory.LazyFunction(timezone.now),
        )
        failed = factory.Trait(
            queued=True,
            state=State.FAILED,
            attempts=1,
            failure="The stored image could not be opened just now. Try again later.",
            finished_at=factory.LazyFunction(timezone.now),
        )

    image = factory.SubFactory(LesionImageFactory)
    requested_by = factory.SelfAttribute("image.uploaded_by")
    model_version = "test-1"
    state = State.SUCCEEDED
    attempts = 1
    finished_at = factory.LazyFunction(timezone.now)
    outcome = Outcome.MONITOR
    p_malignant = 0.03
    probabilities = factory.LazyFunction(
        lambda: {d.value: 0.94 if d == Diagnosis.NV else 0.01 for d in Diagnosis}
    )
    balanced_probabilities = factory.SelfAttribute("probabilities")
    image_logits = factory.LazyFunction(lambda: {d.value: 0.0 for d in Diagnosis})
    context = factory.LazyFunction(lambda: {"age": 66.0, "sex": "female", "localization": "back"})
    context_terms = factory.LazyFunction(
        lambda: {
            field: {d.value: 0.1 for d in Diagnosis} for field in ("age", "sex", "localization")
        }
    )
    in_distribution = 0.99
    weights_sha256 = "0" * 64
    thresholds_version = "test-1"
    duration_ms = 40


@cache
def mask() -> bytes:
    """A disc of 60 pixels in the centre of 200 x 150, as PNG bytes."""
    image = Image.new("L", (200, 150))
    ImageDraw.Draw(image).ellipse((70, 45, 129, 104), fill=255)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class PredictionMapsFactory(factory.django.DjangoModelFactory):
    """Of a finished prediction. All evidence is for nv, in the central cell."""

    class Meta:
        model = PredictionMaps

    prediction = factory.SubFactory(PredictionFactory)
    mask = factory.LazyFunction(mask)
    evidence = factory.LazyFunction(
        lambda: [
            [[0.7 * ((y, x, d) == (7, 10, "nv")) for d in Diagnosis] for x in range(20)]
            for y in range(15)
        ]
    )
    evidence_cell = 10
    bias = factory.LazyFunction(lambda: {d.value: 0.1 for d in Diagnosis})


class OutlineFactory(factory.django.DjangoModelFactory):
    """A square in the centre."""

    class Meta:
        model = Outline

    image = factory.SubFactory(LesionImageFactory)
    drawn_by = factory.SubFactory(UserFactory)
    points = factory.LazyFunction(lambda: [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])


class ImageScaleFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ImageScale

    image = factory.SubFactory(LesionImageFactory)
    set_by = factory.SubFactory(UserFactory)
    source = "field_of_view"
    mm_per_pixel = 0.1


def measures(**other: object) -> dict[str, object]:
    """What ``ml.lesion.measure`` returns for a round brown lesion in a picture of 300 x 225."""
    return {
        "area_px": 3600.0,
        "area_share": 0.0533,
        "longest_diameter_px": 70.0,
        "shortest_diameter_px": 66.0,
        "perimeter_px": 214.0,
        "asymmetry_shape": 0.05,
        "asymmetry_colour": 3.0,
        "border_irregularity": 1.02,
        "colour_variegation": 6.0,
        "colours": dict.fromkeys(("white", "red", "dark_brown", "blue_grey", "black"), 0.0)
        | {"light_brown": 0.8},
        "mean_lab": [45.0, 18.0, 20.0],
        "ita_degrees": 40.0,
        "centre": [150.0, 112.0],
        "touches_border": False,
        **other,
    }


class MeasurementFactory(factory.django.DjangoModelFactory):
    """Within the mask of a prediction. ``by_hand``: within a drawn outline."""

    class Meta:
        model = Measurement

    class Params:
        by_hand = factory.Trait(
            prediction=None,
            outline=factory.SubFactory(OutlineFactory, image=factory.SelfAttribute("..image")),
        )

    image = factory.SubFactory(LesionImageFactory)
    prediction = factory.SubFactory(PredictionFactory, image=factory.SelfAttribute("..image"))
    algorithm_version = MEASURES_VERSION
    values = factory.LazyFunction(measures)


class ReviewFactory(factory.django.DjangoModelFactory):
    """Signed, as the next in the chain."""

    class Meta:
        model = Review

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        last = chain.last()
        signed = {
            "number": last.number + 1 if last else 1,
            "previous_signature": last.signature if last else "",
        }
        review = model_class(*args, **(signed | kwargs))
        review.signature = kwargs.get("signature", sign(review.signed_content))
        review.save()
        return review

    image = factory.SubFactory(LesionImageFactory)
    reviewer = factory.SubFactory(UserFactory)
    conclusion = "nv"
    management = "monitor"


class HistologyFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Histology

    lesion = factory.SubFactory(LesionFactory)
    recorded_by = factory.SubFactory(UserFactory)
    diagnosis = "nv"
    examined_on = date(2026, 3, 20)


class ErasureFactory(factory.django.DjangoModelFactory):
    """Of a record, in its days to undo it. Traits: ``asked`` (a clinic's, not confirmed yet);
    ``erased``.
    """

    class Meta:
        model = Erasure

    class Params:
        asked = factory.Trait(state="asked", ground="person_asks", erased_from=None)
        erased = factory.Trait(
            state="erased",
            patient=None,
            asked_by=None,
            erased_at=factory.LazyFunction(timezone.now),
            receipt={"erased": {"patients": 1}, "kept": []},
        )

    state = "pending"
    patient = factory.SubFactory(PatientFactory, own=True)
    asked_by = factory.SubFactory(UserFactory)
    erased_from = factory.LazyFunction(lambda: timezone.now() + timedelta(days=14))


class DoctorVisitFactory(factory.django.DjangoModelFactory):
    """Of a lesion in the person's own record."""

    class Meta:
        model = DoctorVisit

    lesion = factory.SubFactory(LesionFactory, patient__own=True)
    recorded_by = factory.SelfAttribute("lesion.patient.owner")
    visited_on = date(2026, 3, 15)
    finding = "harmless"
    settles = factory.LazyAttribute(lambda visit: visit.lesion.patient.clinic_id is None)


class ComparisonFactory(factory.django.DjangoModelFactory):
    """Aligned by identity: the same framing."""

    class Meta:
        model = Comparison

    later = factory.SubFactory(LesionImageFactory)
    earlier = factory.SubFactory(
        LesionImageFactory,
        lesion=factory.SelfAttribute("..later.lesion"),
        captured_on=date(2025, 9, 1),
    )
    algorithm_version = REGISTRATION_VERSION
    aligned = True
    matrix = factory.LazyFunction(lambda: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    score = 0.8


class ChangeMarkFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ChangeMark

    comparison = factory.SubFactory(ComparisonFactory)
    marked_by = factory.SubFactory(UserFactory)
    verdict = "unchanged"


class AlertFactory(factory.django.DjangoModelFactory):
    """Open: the lesion grew."""

    class Meta:
        model = Alert

    later = factory.SubFactory(LesionImageFactory)
    lesion = factory.SelfAttribute("later.lesion")
    earlier = factory.SubFactory(
        LesionImageFactory,
        lesion=factory.SelfAttribute("..later.lesion"),
        captured_on=date(2025, 9, 1),
    )
    rule = "growth"
    before = factory.LazyFunction(lambda: {"area_share": 0.05})
    after = factory.LazyFunction(lambda: {"area_share": 0.09})


class ReminderFactory(factory.django.DjangoModelFactory):
    """Every three months; long overdue by default."""

    class Meta:
        model = Reminder

    lesion = factory.SubFactory(LesionFactory)
    set_by = factory.SubFactory(UserFactory)
    interval_months = 3
    due_on = date(2026, 6, 1)


class WebhookFactory(factory.django.DjangoModelFactory):
    """A clinic's, subscribed to everything; ``own=True``: a person's. Trait ``off``."""

    class Meta:
        model = Webhook

    class Params:
        own = factory.Trait(clinic=None, owner=factory.SubFactory(UserFactory))
        off = factory.Trait(
            disabled_at=factory.LazyFunction(timezone.now),
            disabled_reason="It was switched off by hand.",
        )

    clinic = factory.SubFactory(ClinicFactory)
    registered_by = factory.LazyAttribute(
        lambda webhook: (
            webhook.clinic and MembershipFactory(clinic=webhook.clinic, role=Role.ADMIN).user
        )
    )
    name = factory.Sequence(lambda n: f"Practice software {n}")
    target = "https://practice.example.org/skincheck"
    events = factory.LazyFunction(lambda: list(Event.values))


class DeliveryFactory(factory.django.DjangoModelFactory):
    """Waiting to be sent. Traits: ``failed``, ``delivered``, ``sending``."""

    class Meta:
        model = Delivery

    class Params:
        failed = factory.Trait(
            state=DeliveryState.FAILED, tries=1, finished_at=factory.LazyFunction(timezone.now)
        )
        delivered = factory.Trait(
            state=DeliveryState.DELIVERED, tries=1, finished_at=factory.LazyFunction(timezone.now)
        )
        sending = factory.Trait(
            state=DeliveryState.SENDING,
            tries=1,
            lease_expires_at=factory.LazyFunction(timezone.now),
        )

    webhook = factory.SubFactory(WebhookFactory)
    event = Event.PREDICTION_FINISHED
    data = factory.LazyFunction(lambda: {"prediction": "019ab0d3-92c1-7f66-8c2b-6a1d0e4b9f53"})


class DicomNodeFactory(factory.django.DjangoModelFactory):
    """A clinic's, that asks for no authorisation."""

    class Meta:
        model = DicomNode

    clinic = factory.SubFactory(ClinicFactory)
    name = factory.Sequence(lambda n: f"Archive {n}")
    # A port that nothing is ever sent to.
    address = "https://archive.example.org:444/dicom-web"


class DicomDeliveryFactory(factory.django.DjangoModelFactory):
    """Waiting to be sent. Traits: ``failed``, ``delivered``, ``sending``."""

    class Meta:
        model = DicomDelivery

    class Params:
        failed = factory.Trait(
            state=DeliveryState.FAILED,
            tries=1,
            message="The node answered with status 503.",
            finished_at=factory.LazyFunction(timezone.now),
        )
        delivered = factory.Trait(
            state=DeliveryState.DELIVERED, tries=1, finished_at=factory.LazyFunction(timezone.now)
        )
        sending = factory.Trait(
            state=DeliveryState.SENDING,
            tries=1,
            lease_expires_at=factory.LazyFunction(timezone.now),
        )

    image = factory.SubFactory(LesionImageFactory)
    node = factory.LazyAttribute(
        lambda delivery: DicomNodeFactory(clinic=delivery.image.lesion.patient.clinic)
    )
    sent_by = factory.SubFactory(UserFactory)


class DeliveryAttemptFactory(factory.django.DjangoModelFactory):
    """A response with 200."""

    class Meta:
        model = DeliveryAttempt

    delivery = factory.SubFactory(DeliveryFactory)
    status_code = 200
    duration_ms = 120
    answer = "ok"


class BatchFactory(factory.django.DjangoModelFactory):
    """Finished, of a clinic. Trait: ``own``, of the uploader's own skin."""

    class Meta:
        model = Batch

    class Params:
        own = factory.Trait(clinic=None)

    clinic = factory.SubFactory(ClinicFactory)
    created_by = factory.SubFactory(UserFactory)
    captured_on = date(2026, 3, 1)
    state = Batch.State.FINISHED
    has_rows = True
    finished_at = factory.LazyFunction(timezone.now)


class BatchRowFactory(factory.django.DjangoModelFactory):
    """Refused. With ``image``: imported."""

    class Meta:
        model = BatchRow

    batch = factory.SubFactory(BatchFactory)
    number = factory.Sequence(lambda n: n + 2)
    picture = "mole.jpg"
    state = factory.LazyAttribute(lambda row: "imported" if row.image else "refused")
    problems = factory.LazyAttribute(lambda row: [] if row.image else [["sex", "“x” is no sex."]])
    image = None


class ExportFactory(factory.django.DjangoModelFactory):
    """Waiting, of the account of whoever asked. Trait: ``ready``, with a file of no use."""

    class Meta:
        model = Export

    class Params:
        ready = factory.Trait(
            state=Export.State.READY,
            file=factory.LazyFunction(lambda: ContentFile(b"PK", name="export")),
            file_bytes=2,
            sha256="0" * 64,
            finished_at=factory.LazyFunction(timezone.now),
            expires_at=factory.LazyFunction(lambda: timezone.now() + timedelta(days=7)),
        )

    requested_by = factory.SubFactory(UserFactory)
