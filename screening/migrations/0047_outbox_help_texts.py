from django.db import migrations, models

FAILURES = models.PositiveIntegerField(
    default=0, editable=False, help_text="Attempts that failed since the last that succeeded."
)
RUNG_AT = models.DateTimeField(
    null=True, editable=False, help_text="When a worker was last notified; empty: not yet."
)


class Migration(migrations.Migration):
    """Texts only: no table changes."""

    dependencies = [("screening", "0046_pictures_put_back")]

    operations = [
        migrations.AlterField("dicomnode", "failures", FAILURES),
        migrations.AlterField("delivery", "rung_at", RUNG_AT),
        migrations.AlterField("dicomdelivery", "rung_at", RUNG_AT),
    ]
