import django.db.models.deletion
import django.utils.timezone
import screening.models.batch
import screening.models.image
import screening.models.outbox
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Texts only: no table changes."""
    dependencies = [
        ("screening", "0051_record_name_words"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="alert",
            name="replaced_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When the images were compared again within newly drawn outlines. It no longer counts.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="announcement",
            name="reveals_finding",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Whether it reveals a finding, such as a lesion closed by a conclusion.",
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="actor",
            field=models.UUIDField(
                db_index=True, help_text="The account. Empty if nobody was logged in.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="digest",
            field=models.CharField(
                help_text="Keyed digest of the fields above, as first written.", max_length=64
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="erased_signature",
            field=models.CharField(
                blank=True,
                help_text="Over the fields above after a person was erased from them.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="signature",
            field=models.CharField(
                help_text="Over the number and the two fields above.", max_length=64
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="status",
            field=models.PositiveSmallIntegerField(
                help_text="Status code of the response.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="unit",
            field=models.UUIDField(
                db_index=True,
                help_text="A unit that seemed to be cut off but continued has two entries.",
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="what",
            field=models.CharField(
                help_text="The URL, or the name of the task or command.", max_length=200
            ),
        ),
        migrations.AlterField(
            model_name="auditsegment",
            name="last",
            field=models.PositiveBigIntegerField(
                help_text="Number of its last entry.", primary_key=True, serialize=False
            ),
        ),
        migrations.AlterField(
            model_name="auditsegment",
            name="last_signature",
            field=models.CharField(help_text="Signature of its last entry.", max_length=64),
        ),
        migrations.AlterField(
            model_name="batch",
            name="archive",
            field=models.FileField(
                blank=True,
                help_text="Removed when no longer needed.",
                upload_to=screening.models.batch._archive_name,
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="archive_bytes",
            field=models.PositiveBigIntegerField(
                editable=False,
                help_text="Empty for archives stored before sizes were recorded.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="captured_on",
            field=models.DateField(
                help_text="For rows without a day of their own. Empty: the day in the file, or else of the upload.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="has_rows",
            field=models.BooleanField(
                default=False, editable=False, help_text="Every line of the manifest has a row."
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="rests_until",
            field=models.DateTimeField(
                editable=False, help_text="Paused until then after a setback.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="setbacks",
            field=models.PositiveSmallIntegerField(
                default=0,
                editable=False,
                help_text="Consecutive failures that were not caused by its rows.",
            ),
        ),
        migrations.AlterField(
            model_name="batchrow",
            name="number",
            field=models.PositiveIntegerField(
                help_text="Line number, as in a spreadsheet or an editor."
            ),
        ),
        migrations.AlterField(
            model_name="batchrow",
            name="offset",
            field=models.BigIntegerField(
                help_text="Where its line starts, unless it is in an archive.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="batchrow",
            name="picture",
            field=models.CharField(
                blank=True, help_text="File name in the manifest.", max_length=500
            ),
        ),
        migrations.AlterField(
            model_name="batchrow",
            name="source",
            field=models.JSONField(
                default=dict, help_text="Metadata in ISIC's terms, as received."
            ),
        ),
        migrations.AlterField(
            model_name="batchrow",
            name="was_known",
            field=models.BooleanField(default=False, help_text="The picture already existed."),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="replaced_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When a comparison within newly drawn outlines replaced it.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="consent",
            name="version",
            field=models.CharField(
                help_text="Version of the texts that the person was shown.", max_length=12
            ),
        ),
        migrations.AlterField(
            model_name="correction",
            name="after",
            field=models.JSONField(
                default=dict, help_text="The same fields, as they have been since."
            ),
        ),
        migrations.AlterField(
            model_name="correction",
            name="patient",
            field=models.ForeignKey(
                help_text="The patient whose record it was before.",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="corrections",
                to="screening.patient",
            ),
        ),
        migrations.AlterField(
            model_name="datakey",
            name="lost_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When an operator declared the key that opens it lost for good. What it encrypts counts as lost, and the patient gets a new key.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="datakey",
            name="patient",
            field=models.ForeignKey(
                editable=False,
                help_text="Empty if it is the installation's key or is about to be destroyed.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="data_keys",
                to="screening.patient",
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="given_up_at",
            field=models.DateTimeField(
                default=screening.models.outbox.a_day_from_now,
                editable=False,
                help_text="No attempts are made after this.",
            ),
        ),
        migrations.AlterField(
            model_name="dicomdelivery",
            name="given_up_at",
            field=models.DateTimeField(
                default=screening.models.outbox.a_day_from_now,
                editable=False,
                help_text="No attempts are made after this.",
            ),
        ),
        migrations.AlterField(
            model_name="dicomdelivery",
            name="instance_uid",
            field=models.CharField(
                blank=True, editable=False, help_text="UIDs of the last attempt.", max_length=64
            ),
        ),
        migrations.AlterField(
            model_name="dicomdelivery",
            name="message",
            field=models.CharField(
                blank=True, editable=False, help_text="The response in words.", max_length=300
            ),
        ),
        migrations.AlterField(
            model_name="dicomdelivery",
            name="status_code",
            field=models.PositiveSmallIntegerField(
                editable=False,
                help_text="Status code of the last response. Empty if there was none.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="dicomdelivery",
            name="with_readings",
            field=models.BooleanField(
                default=False,
                help_text="Includes the software's readings, as report and segmentation.",
            ),
        ),
        migrations.AlterField(
            model_name="dicomnode",
            name="address",
            field=models.CharField(
                help_text="Base URL of the DICOMweb service, before /studies.", max_length=500
            ),
        ),
        migrations.AlterField(
            model_name="dicomnode",
            name="failures",
            field=models.PositiveIntegerField(
                default=0, editable=False, help_text="Failed attempts since the last success."
            ),
        ),
        migrations.AlterField(
            model_name="dicomnode",
            name="for_research",
            field=models.BooleanField(
                default=False,
                help_text="Receives only pictures of people who consented to research.",
            ),
        ),
        migrations.AlterField(
            model_name="dicomnode",
            name="rests_until",
            field=models.DateTimeField(
                editable=False, help_text="After failures, nothing is sent until then.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="erasure",
            name="counts",
            field=models.JSONField(
                default=dict, help_text="What was erased and what was kept, by kind."
            ),
        ),
        migrations.AlterField(
            model_name="erasure",
            name="mail_to",
            field=models.EmailField(
                blank=True,
                help_text="Where to mail the receipt. Emptied once it is mailed.",
                max_length=254,
            ),
        ),
        migrations.AlterField(
            model_name="erasure",
            name="parted",
            field=models.JSONField(
                default=list,
                help_text="Records that others have a right to. They only lose the link to the requester.",
            ),
        ),
        migrations.AlterField(
            model_name="export",
            name="fetched_at",
            field=models.DateTimeField(
                editable=False, help_text="When it was last downloaded.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="export",
            name="patient",
            field=models.ForeignKey(
                blank=True,
                help_text="Whose record it is. Empty: the requester's account and all their own records.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="exports",
                to="screening.patient",
            ),
        ),
        migrations.AlterField(
            model_name="export",
            name="rests_until",
            field=models.DateTimeField(
                editable=False, help_text="Not claimed before then, after a setback.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="export",
            name="steps",
            field=models.PositiveIntegerField(
                default=0, editable=False, help_text="Number of files to write."
            ),
        ),
        migrations.AlterField(
            model_name="following",
            name="ended_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When it ended. If it never began, when it was declined or withdrawn.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="task",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Empty if it had none.",
                max_length=100,
            ),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="task_limit",
            field=models.PositiveIntegerField(
                help_text="Seconds after which the task is stopped.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="lesion",
            name="symptoms_at",
            field=models.DateTimeField(
                editable=False, help_text="When a new symptom was last marked.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="lesionimage",
            name="data_key",
            field=models.ForeignKey(
                editable=False,
                help_text="Encrypts its files and maps, even after it moved to another patient. Empty if they are not encrypted.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="images",
                to="screening.datakey",
            ),
        ),
        migrations.AlterField(
            model_name="lesionimage",
            name="has_burned_in_text",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="According to its DICOM file. The picture itself may name the person.",
            ),
        ),
        migrations.AlterField(
            model_name="lesionimage",
            name="is_twin",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="A second copy of the same picture. It came with a merged lesion and keeps what people recorded on it.",
            ),
        ),
        migrations.AlterField(
            model_name="lesionimage",
            name="placed_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="When it took its place among the lesion's images: added, moved or given another day. An act by someone who was shown the lesion earlier does not take it into account.",
            ),
        ),
        migrations.AlterField(
            model_name="lesionimage",
            name="screen",
            field=models.FileField(
                blank=True,
                db_default="",
                default="",
                help_text="A copy at screen size. Empty if the picture is smaller, or is older than this field and has not been shown since.",
                max_length=120,
                upload_to=screening.models.image._file_name,
            ),
        ),
        migrations.AlterField(
            model_name="lesionimage",
            name="sha256",
            field=models.CharField(help_text="SHA-256 of the file as uploaded.", max_length=64),
        ),
        migrations.AlterField(
            model_name="lesionimage",
            name="stored_bytes",
            field=models.PositiveIntegerField(
                editable=False,
                help_text="Size of its files. Empty if they were stored before sizes were recorded.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="measurement",
            name="prediction",
            field=models.ForeignKey(
                help_text="The reading whose mask was measured.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="measurements",
                to="screening.prediction",
            ),
        ),
        migrations.AlterField(
            model_name="measurement",
            name="values",
            field=models.JSONField(
                default=dict, help_text="By name, in image pixels and shares, never in millimetres."
            ),
        ),
        migrations.AlterField(
            model_name="opinion",
            name="author",
            field=models.ForeignKey(
                blank=True,
                help_text="The account that was logged in. Empty if unverified.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="opinions",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="opinion",
            name="name",
            field=models.CharField(help_text="The name that the author gave.", max_length=120),
        ),
        migrations.AlterField(
            model_name="patient",
            name="erased_from",
            field=models.DateTimeField(
                editable=False,
                help_text="Scheduled time of erasure. Nobody sees the record until then.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="context",
            field=models.JSONField(
                default=dict,
                editable=False,
                help_text="Age, sex and localization as given to the model.",
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="is_bulk",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Nobody is waiting for it. Readings that somebody waits for go first.",
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="rests_until",
            field=models.DateTimeField(
                editable=False, help_text="Not claimed before then, after a setback.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="rung_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="When the workers were last notified. Empty if they are to be notified again.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="setbacks",
            field=models.PositiveSmallIntegerField(
                default=0,
                editable=False,
                help_text="How often it was postponed because storage or the database was unavailable. These do not count as attempts.",
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="told_from",
            field=models.DateTimeField(
                editable=False,
                help_text="When it became the reading of its image that counts. Empty if it never did.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="prediction",
            name="told_until",
            field=models.DateTimeField(
                editable=False,
                help_text="When another reading replaced it. Empty if none has.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="reminder",
            name="mailed_for",
            field=models.DateField(
                editable=False, help_text="The due day that the last mail was about.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="reminder",
            name="mailing_since",
            field=models.DateTimeField(
                editable=False, help_text="When a process claimed it to send the mail.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="review",
            name="number",
            field=models.PositiveBigIntegerField(
                editable=False,
                help_text="1 for the first review signed on this installation.",
                unique=True,
            ),
        ),
        migrations.AlterField(
            model_name="reviewseal",
            name="content_sha256",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="Digest of its content. Empty if the review was erased.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="reviewseal",
            name="held",
            field=models.BooleanField(
                editable=False,
                help_text="Whether it was unchanged since it was signed, at the time of sealing.",
            ),
        ),
        migrations.AlterField(
            model_name="share",
            name="lesion",
            field=models.ForeignKey(
                blank=True,
                help_text="The only lesion shown. Empty: the whole record.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="shares",
                to="screening.lesion",
            ),
        ),
        migrations.AlterField(
            model_name="share",
            name="recipient",
            field=models.CharField(
                help_text="Who it is for, in the sharer's words.", max_length=120
            ),
        ),
        migrations.AlterField(
            model_name="webhook",
            name="events",
            field=models.JSONField(default=list, help_text="The events that are sent to it."),
        ),
        migrations.AlterField(
            model_name="webhook",
            name="failures",
            field=models.PositiveIntegerField(
                default=0, editable=False, help_text="Failed attempts since the last success."
            ),
        ),
        migrations.AlterField(
            model_name="webhook",
            name="registered_by",
            field=models.ForeignKey(
                editable=False,
                help_text="Responsible for a clinic's webhook, which receives events only while they are an admin.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="registered_webhooks",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="webhook",
            name="rests_until",
            field=models.DateTimeField(
                editable=False, help_text="After failures, nothing is sent until then.", null=True
            ),
        ),
    ]
