"""Comparisons and alerts record the outlines that they rest on; existing ones get those of their
time.
"""

from django.conf import settings
from django.db import migrations, models


def name_the_outlines(apps, schema_editor):
    Outline = apps.get_model("screening", "Outline")
    drawn = {}
    for image, created, pk in Outline.objects.order_by("created", "pk").values_list(
        "image_id", "created", "pk"
    ):
        drawn.setdefault(image, []).append((created, pk))
    if not drawn:
        return
    for name in ("Comparison", "Alert"):
        model = apps.get_model("screening", name)
        for row in model.objects.only("earlier_id", "later_id", "created").iterator():
            then = [
                next((pk for on, pk in reversed(drawn.get(image, [])) if on <= row.created), None)
                for image in (row.earlier_id, row.later_id)
            ]
            if any(then):
                names = " ".join(pk.hex if pk else "-" for pk in then)
                model.objects.filter(pk=row.pk).update(outlines=names)


class Migration(migrations.Migration):

    dependencies = [
        ('screening', '0011_image_order'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='alert',
            name='rule_fires_once_per_pair',
        ),
        migrations.RemoveConstraint(
            model_name='comparison',
            name='pair_is_compared_once',
        ),
        migrations.AddField(
            model_name='alert',
            name='outlines',
            field=models.CharField(blank=True, editable=False, help_text="The drawn outlines that it rests on, by image; empty: the model's own.", max_length=80),
        ),
        migrations.AddField(
            model_name='alert',
            name='replaced_at',
            field=models.DateTimeField(editable=False, help_text='When the images were compared within outlines drawn anew: it counts no longer.', null=True),
        ),
        migrations.AddField(
            model_name='comparison',
            name='outlines',
            field=models.CharField(blank=True, editable=False, help_text="The drawn outlines that it rests on, by image; empty: the model's own.", max_length=80),
        ),
        migrations.AddField(
            model_name='comparison',
            name='replaced_at',
            field=models.DateTimeField(editable=False, help_text='When an outline that was drawn anew took its place.', null=True),
        ),
        migrations.AddConstraint(
            model_name='alert',
            constraint=models.UniqueConstraint(fields=('rule', 'earlier', 'later', 'outlines'), name='rule_fires_once_per_pair'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.UniqueConstraint(fields=('earlier', 'later', 'algorithm_version', 'outlines'), name='pair_is_compared_once'),
        ),
        migrations.RunPython(name_the_outlines, migrations.RunPython.noop),
    ]
