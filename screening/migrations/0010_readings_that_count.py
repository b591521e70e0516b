"""Decide for existing records which reading of an image counts, and since when acts and symptoms
apply.
"""

from itertools import groupby

from django.db import migrations
from django.db.models import F, Q
from django.utils import timezone

DEFAULT_VERSION = "2026.11.4"  # when this was written


def choose_readings(apps, schema_editor):
    """For each image, the newest reading by the then default version; for images that it never
    read, the newest by the highest version. The history keeps the others: each was told until the
    next one.
    """
    Prediction = apps.get_model("screening", "Prediction")
    finished = Prediction.objects.filter(state="succeeded")
    rows = finished.order_by("image_id", "created", "pk").values_list(
        "image_id", "model_version", "created", "pk", "finished_at"
    )
    for _, readings in groupby(rows.iterator(), key=lambda row: row[0]):
        readings = list(readings)
        best = max(
            readings, key=lambda row: (row[1] == DEFAULT_VERSION, _parts(row[1]), row[2], row[3])
        )
        for row, until in zip(readings, [*(row[4] for row in readings[1:]), timezone.now()]):
            told = Prediction.objects.filter(pk=row[3])
            told.update(told_from=row[4], told_until=None if row is best else until)


def _parts(version):
    return [(int(part), "") if part.isdigit() else (0, part) for part in version.split(".")]


def date_what_stands(apps, schema_editor):
    """An image has its place since it was added. A symptom may be as new as the last edit."""
    apps.get_model("screening", "LesionImage").objects.update(placed_at=F("created"))
    marked = Q(raised=True) | Q(bleeding=True) | Q(itching=True) | Q(changing=True)
    apps.get_model("screening", "Lesion").objects.filter(marked).update(symptoms_at=F("modified"))


class Migration(migrations.Migration):
    dependencies = [("screening", "0009_corrections_and_visits")]

    operations = [
        migrations.RunPython(choose_readings, migrations.RunPython.noop),
        migrations.RunPython(date_what_stands, migrations.RunPython.noop),
    ]
