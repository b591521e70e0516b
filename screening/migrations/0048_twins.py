from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("screening", "0047_outbox_help_texts")]

    operations = [
        migrations.AddField(
            model_name="lesionimage",
            name="is_twin",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="The same picture is there once more: it came with a lesion that was "
                "merged, and keeps what people said of it.",
            ),
        ),
        migrations.RemoveConstraint(
            model_name="lesionimage", name="same_picture_once_per_lesion"
        ),
        migrations.AddConstraint(
            model_name="lesionimage",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_twin", False), ("withdrawn_at__isnull", True)),
                fields=("lesion", "sha256"),
                name="same_picture_once_per_lesion",
            ),
        ),
    ]
