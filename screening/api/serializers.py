"""JSON in and out. Serializers parse; the services of each room decide what is allowed."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from accounts.models import Clinic
from accounts.scope_permission import may_read
from screening.api.fields import (
    BesideStanding,
    ByScope,
    ChoiceOrNull,
    ShownAt,
    StandingOutcome,
    TimeOfDay,
    VisibleField,
    confirms_field,
    meaning,
    shown,
)
from screening.api.readings import PredictionSerializer
from screening.api.records import IdentifiedSerializer, IdentifierSerializer, RecordSerializer
from screening.interop import identifiers as interop_identifiers
from screening.models import (
    Histology,
    Lesion,
    LesionImage,
    Outcome,
    Patient,
    Review,
)
from screening.predictions.advice import act_words
from screening.predictions.outcomes import Act
from screening.predictions.queries import latest_prediction, latest_review
from screening.records import queries as record_queries
from screening.records import services as record_services
from screening.reviews import services as review_services

BASE = ["id", "url", "created", "modified"]
SETTLING = ("predictions", "reviews", "histologies", "visits")


class ClinicSerializer(serializers.ModelSerializer[Clinic]):
    """A clinic that you work in."""

    role = serializers.CharField(read_only=True, help_text="Yours in this clinic.")

    class Meta:
        model = Clinic
        fields = ["id", "name", "role", "review_before_reading"]


class PatientSerializer(IdentifiedSerializer):
    """The person whose skin it is, by a pseudonym."""

    url = serializers.HyperlinkedIdentityField(view_name="api:patient-detail")
    clinic = VisibleField(
        queryset=Clinic.objects.none(),
        visible_to=lambda user: Clinic.objects.with_member(user),
        allow_null=True,
        required=False,
        help_text="The clinic whose patient this is. Leave it out for a record of your own skin.",
    )
    confirms = confirms_field()

    fixed = ("clinic",)

    class Meta:
        model = Patient
        fields = [*BASE, "clinic", "confirms", "identifiers", *record_services.PATIENT_FIELDS]
        read_only_fields = ["created", "modified"]
        validators: list[Any] = []

    def create(self, validated_data: dict[str, Any]) -> Patient:
        return self.known(interop_identifiers.register_patient(user=self.user, **validated_data))

    def update(self, instance: Patient, validated_data: dict[str, Any]) -> Patient:
        validated_data.pop("confirms", None)  # of a new record only
        changes = self.changes(instance, validated_data)
        self.save_identifiers(instance, changes)
        return record_services.edit_patient(user=self.user, patient=instance, **changes)


class ActSerializer(serializers.Serializer[Any]):
    """An act that settles a warning."""

    kind = serializers.ChoiceField(["review", "histology", "visit"])
    id = serializers.UUIDField(help_text="Of that review, histology or visit.")
    created = serializers.DateTimeField(help_text="When it was signed or entered.")
    by = serializers.CharField(help_text="Who signed or entered it.")
    text = serializers.CharField(help_text="In words.")

    def to_representation(self, act: Act) -> dict[str, Any]:
        by = act.reviewer if isinstance(act, Review) else act.recorded_by
        kind = "visit"
        if isinstance(act, Review | Histology):
            kind = "review" if isinstance(act, Review) else "histology"
        return super().to_representation(
            {"kind": kind, "id": act.pk, "created": act.created, "by": by, "text": act_words(act)}
        )


class LesionListSerializer(serializers.ListSerializer[Any]):
    """Looks what settled the warnings of all lesions up at once."""

    def to_representation(self, data: Any) -> Any:
        lesions = list(data)
        request = self.context["request"]
        if may_read(request, *SETTLING):
            record_queries.attach_settled_by(lesions, request.user)
        return super().to_representation(lesions)


class LesionSerializer(BesideStanding, ByScope, IdentifiedSerializer):
    """One spot on one patient's body."""

    elsewhere = {
        **dict.fromkeys(
            ("latest_outcome", "standing_outcome", "standing_image", "earlier_outcome", "unread"),
            ("predictions",),
        ),
        "awaits": ("reviews", "histologies", "visits"),
    }

    url = serializers.HyperlinkedIdentityField(view_name="api:lesion-detail")
    patient = VisibleField(
        queryset=Patient.objects.none(), visible_to=lambda user: Patient.objects.visible_to(user)
    )
    image_count = serializers.SerializerMethodField()
    latest_image = serializers.UUIDField(
        source="latest_image_id", read_only=True, allow_null=True, help_text="The last captured."
    )
    latest_outcome = ChoiceOrNull(
        Outcome.choices,
        help_text="What is told of `latest_image` alone: not of the lesion. Needs "
        "`predictions:read`, as the following do.",
    )
    standing_outcome = StandingOutcome(
        help_text="What is told of the lesion: the most severe of its images' outcomes that no "
        "conclusion, histology or doctor's visit has settled. `null`: nothing stands.",
    )
    standing_image = serializers.UUIDField(
        source="standing_image_id",
        read_only=True,
        allow_null=True,
        help_text="The image that it is told of; `null` where a symptom alone says so.",
    )
    settled_by = serializers.SerializerMethodField(
        help_text="What settled the warnings that do not stand, the newest first. Needs "
        "`reviews:read`, `histologies:read` and `visits:read`, too; `null` without.",
    )

    fixed = ("patient",)

    class Meta:
        model = Lesion
        list_serializer_class = LesionListSerializer
        fields = [
            *BASE,
            "patient",
            "identifiers",
            *record_services.LESION_FIELDS,
            "image_count",
            "latest_image",
            "latest_outcome",
            "standing_outcome",
            "standing_image",
            "earlier_outcome",
            "unread",
            "awaits",
            "settled_by",
            "closed_on",
            "closed_day_is_known",
        ]
        read_only_fields = ["created", "modified", "closed_on", "closed_day_is_known"]
        extra_kwargs = {
            "closed_on": {"help_text": "The day it was removed: it is no longer followed."},
            "closed_day_is_known": {"help_text": "False: removed on that day or before."},
            "label": {"required": False, "help_text": 'Without one it is called "Lesion n".'},
        }
        validators: list[Any] = []

    def get_image_count(self, lesion: Lesion) -> int:
        return lesion.image_count or 0

    @extend_schema_field(ActSerializer(many=True, allow_null=True))
    def get_settled_by(self, lesion: Lesion) -> Any:
        if not may_read(self.context["request"], *SETTLING):
            return None
        if not hasattr(lesion, "settled_by"):
            record_queries.attach_settled_by([lesion], self.user)
        acts: list[Act] = lesion.settled_by  # type: ignore[attr-defined]
        return ActSerializer(acts, many=True).data if acts else []

    def create(self, validated_data: dict[str, Any]) -> Lesion:
        return self.known(interop_identifiers.open_lesion(user=self.user, **validated_data))

    def update(self, instance: Lesion, validated_data: dict[str, Any]) -> Lesion:
        changes = self.changes(instance, validated_data)
        self.save_identifiers(instance, changes)
        return record_services.edit_lesion(user=self.user, lesion=instance, **changes)


class ReviewSerializer(RecordSerializer):
    """A clinician's own conclusion on an image."""

    url = serializers.HyperlinkedIdentityField(view_name="api:review-detail")
    image = VisibleField(
        queryset=LesionImage.objects.none(),
        visible_to=lambda user: LesionImage.objects.visible_to(user).select_related(
            "lesion__patient"
        ),
    )
    lesion = serializers.UUIDField(source="image.lesion_id", read_only=True)
    reviewer = serializers.CharField(read_only=True, help_text="Who signed it.")
    supersedes = VisibleField(
        queryset=Review.objects.none(),
        visible_to=lambda user: Review.objects.visible_to(user),
        required=False,
        allow_null=True,
        help_text="Your own earlier one on the image, of itself. Without one, a colleague's that "
        "is named; else it stands beside what others concluded.",
    )
    superseded_by = serializers.SerializerMethodField(help_text="`null`: it stands.")
    removed_on = serializers.DateField(
        required=False,
        allow_null=True,
        write_only=True,
        help_text="With `done`: the day it was removed. Without one it was by today.",
    )
    shown_at = ShownAt()
    signature = serializers.CharField(
        read_only=True, help_text="HMAC-SHA256 over the above and the review signed before it."
    )
    signature_holds = serializers.BooleanField(
        read_only=True, help_text="False: the row is not as it was signed. Do not rely on it."
    )

    class Meta:
        model = Review
        fields = [
            "id",
            "url",
            "created",
            "image",
            "lesion",
            "reviewer",
            "conclusion",
            "management",
            "note",
            "removed_on",
            "shown_at",
            "supersedes",
            "superseded_by",
            "signature",
            "signature_holds",
        ]
        read_only_fields = ["created"]
        validators: list[Any] = []

    def get_superseded_by(self, review: Review) -> UUID | None:
        later = getattr(review, "superseded_by", None)
        return later.pk if later else None

    def create(self, validated_data: dict[str, Any]) -> Review:
        image: LesionImage = validated_data["image"]
        own = image.reviews.standing().filter(reviewer=self.user).first()
        corrected = own or validated_data.get("supersedes")
        fields = shown(validated_data, image.placed_at, corrected)
        return review_services.record_review(user=self.user, **fields)


class ImageSerializer(ByScope, serializers.ModelSerializer[LesionImage]):
    """One picture of one lesion, taken on one day."""

    elsewhere = {"latest_prediction": ("predictions",), "latest_review": ("reviews",)}

    url = serializers.HyperlinkedIdentityField(view_name="api:image-detail")
    captured_time = TimeOfDay(
        read_only=True, allow_null=True, help_text=meaning(LesionImage, "captured_time")
    )
    image_url = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()
    identifiers = IdentifierSerializer(many=True, read_only=True)
    latest_prediction = serializers.SerializerMethodField(help_text="Needs `predictions:read`.")
    latest_review = serializers.SerializerMethodField(
        help_text="Stands above any prediction. Needs `reviews:read`."
    )

    class Meta:
        model = LesionImage
        fields = [
            *BASE,
            "lesion",
            "identifiers",
            "captured_on",
            "captured_time",
            "modality",
            "width",
            "height",
            "sha256",
            "camera_model",
            "is_synthetic",
            "image_url",
            "thumbnail_url",
            "latest_prediction",
            "latest_review",
        ]
        read_only_fields = fields

    def get_image_url(self, image: LesionImage) -> str:
        return self._address("api:image-file", image)

    def get_thumbnail_url(self, image: LesionImage) -> str:
        return self._address("api:image-thumbnail", image)

    @extend_schema_field(PredictionSerializer(allow_null=True))
    def get_latest_prediction(self, image: LesionImage) -> Any:
        reading = latest_prediction(image)
        return self._predictions.to_representation(reading) if reading else None

    @extend_schema_field(ReviewSerializer(allow_null=True))
    def get_latest_review(self, image: LesionImage) -> Any:
        review = latest_review(image)
        return self._reviews.to_representation(review) if review else None

    @cached_property
    def _predictions(self) -> PredictionSerializer:
        """One for all images of a list: to create a serializer takes longer than to use it."""
        return PredictionSerializer(context=self.context)

    @cached_property
    def _reviews(self) -> ReviewSerializer:
        return ReviewSerializer(context=self.context)

    def _address(self, name: str, image: LesionImage) -> str:
        return reverse(name, args=[image.pk], request=self.context.get("request"))


class AddedImageSerializer(ImageSerializer):
    """The picture as stored, and where it differs from the request."""

    remark = serializers.SerializerMethodField(
        help_text="In words: the picture existed already, with another day or kind; its DICOM "
        "file calls it an ordinary photograph, which is not read, or another kind than was sent; "
        "or the lesion is recorded as removed, and the picture raises no warning. Else empty."
    )

    class Meta(ImageSerializer.Meta):
        fields = [*ImageSerializer.Meta.fields, "remark"]
        read_only_fields = fields

    def get_remark(self, image: LesionImage) -> str:
        sent = self.context["sent"]
        words = [image.words_on_kind(sent.get("modality", "")), self.context["remark"]]
        told = sent.get("captured_on")
        if told is None or told == image.captured_on:
            words.append(image.removed_words)
        else:
            words.append(
                f"The picture is here already, as taken on {image.captured_on}. The day sent, "
                f"{told}, is not taken over: correct the image if it is right."
            )
        return " ".join(filter(None, words))
