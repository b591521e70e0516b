import hmac
import json
from datetime import UTC
from hashlib import sha256

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models



def sign(content):
    """``screening.models.signatures`` as it was when this migration was written."""
    key = hmac.digest(settings.SECRET_KEY.encode(), b"skincheck.review.1", sha256)
    written = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, written.encode(), sha256).hex()


def sign_what_is_there(apps, schema_editor):
    """Sign existing reviews in the order in which they were recorded. Their proof starts here: see
    docs/decisions.md.
    """
    signature = ""
    reviews = apps.get_model("screening", "Review").objects.order_by("created", "pk")
    for number, review in enumerate(reviews.iterator(), start=1):
        review.number, review.previous_signature = number, signature
        signature = review.signature = sign(
            {
                "id": str(review.pk),
                "number": number,
                "image": str(review.image_id),
                "reviewer": str(review.reviewer_id),
                "conclusion": review.conclusion,
                "management": review.management,
                "note": review.note,
                "created": review.created.astimezone(UTC).isoformat(timespec="microseconds"),
                "supersedes": None,
                "previous_signature": review.previous_signature,
            }
        )
        review.save(update_fields=["number", "previous_signature", "signature"])


class Migration(migrations.Migration):

    dependencies = [
        ('screening', '0004_mailing_and_reports'),
    ]

    operations = [
        migrations.AddField(
            model_name='review',
            name='supersedes',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='screening.review'),
        ),
        migrations.AddField(
            model_name='review',
            name='number',
            field=models.PositiveBigIntegerField(editable=False, help_text='1 for the first that was ever signed here.', null=True),
        ),
        migrations.AddField(
            model_name='review',
            name='previous_signature',
            field=models.CharField(blank=True, editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='review',
            name='signature',
            field=models.CharField(default='', editable=False, help_text='HMAC-SHA256 over all the above.', max_length=64),
            preserve_default=False,
        ),
        migrations.RunPython(sign_what_is_there, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='review',
            name='number',
            field=models.PositiveBigIntegerField(editable=False, help_text='1 for the first that was ever signed here.', unique=True),
        ),
        migrations.AddConstraint(
            model_name='review',
            constraint=models.CheckConstraint(condition=models.Q(('signature', ''), _negated=True), name='review_is_signed'),
        ),
        migrations.AddConstraint(
            model_name='review',
            constraint=models.CheckConstraint(condition=models.Q(('supersedes__isnull', True), models.Q(('supersedes', models.F('id')), _negated=True), _connector='OR'), name='review_does_not_supersede_itself'),
        ),
    ]
