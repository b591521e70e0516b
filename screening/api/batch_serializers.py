"""What is sent to upload a batch, and how one is shown."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from accounts.models import Clinic
from ml.opening.limits import size_in_words
from screening.api.fields import StrictSerializer, VisibleField, WordOrNull
from screening.batches.archives import MAX_ARCHIVE_BYTES, MAX_JSON_LINES_BYTES
from screening.batches.queries import Counts, counts_of
from screening.models import Batch


class BatchUploadSerializer(StrictSerializer):
    """An archive to import."""

    archive = serializers.FileField(
        help_text="A ZIP with a manifest (CSV or JSON lines) and the pictures, up to "
        f"{size_in_words(MAX_ARCHIVE_BYTES)}; or JSON lines with the pictures in base64, up to "
        f"{size_in_words(MAX_JSON_LINES_BYTES)}."
    )
    clinic = VisibleField(
        queryset=Clinic.objects.none(),
        visible_to=lambda user: Clinic.objects.with_member(user),
        allow_null=True,
        required=False,
        help_text="Whose patients these are. Leave it out for your own skin.",
    )
    dry_run = serializers.BooleanField(
        default=False, help_text="Check all rows and pictures, and import nothing until resumed."
    )
    captured_on = serializers.DateField(
        required=False,
        help_text="Of rows without a day, and of ISIC's acquisition_day 0. Without it, a row "
        "without a day has the one in its picture's file (EXIF, DICOM), or today.",
    )


class CountsSerializer(serializers.Serializer[Counts]):
    """Rows of the manifest by what became of them."""

    rows = serializers.IntegerField(help_text="All; 0 until the manifest is read.")
    waiting = serializers.IntegerField()
    checked = serializers.IntegerField(help_text="By a dry run, without a fault.")
    imported = serializers.IntegerField(help_text="Their images are in the record.")
    known = serializers.IntegerField(help_text="Of these, pictures that were there before.")
    read = serializers.IntegerField(help_text="Imported and read by the model.")
    failed = serializers.IntegerField(help_text="Imported, but the reading failed.")
    refused = serializers.IntegerField(help_text="See `problems_url`.")


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """Many images at once."""

    url = serializers.HyperlinkedIdentityField(view_name="api:batch-detail")
    counts = serializers.SerializerMethodField()
    failure = WordOrNull(help_text="Why the batch as a whole was refused or stopped.")
    unknown_columns = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Left aside: nobody knows them."
    )
    problems_url = serializers.SerializerMethodField()
    results_url = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = [
            "id",
            "url",
            "created",
            "clinic",
            "state",
            "dry_run",
            "captured_on",
            "counts",
            "unknown_columns",
            "failure",
            "finished_at",
            "problems_url",
            "results_url",
        ]
        read_only_fields = fields

    @extend_schema_field(CountsSerializer)
    def get_counts(self, batch: Batch) -> dict[str, Any]:
        return dict(CountsSerializer(counts_of(batch)).data)

    def get_problems_url(self, batch: Batch) -> str:
        return self._address("api:batch-problems", batch)

    def get_results_url(self, batch: Batch) -> str:
        return self._address("api:batch-results", batch)

    def _address(self, name: str, batch: Batch) -> str:
        return reverse(name, args=[batch.pk], request=self.context.get("request"))
