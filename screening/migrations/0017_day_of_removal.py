"""Record whether the day on which a closed lesion was removed is known. A conclusion "removed
already" used to close it on the day of its picture.
"""

from django.db import migrations, models
from django.db.models import F
from django.utils import timezone


def say_what_is_known(apps, schema_editor):
    """The day is known if a person reported it with a visit. A lesion closed by a conclusion on the
    newest picture was removed by the day of the conclusion.
    """
    Lesion = apps.get_model("screening", "Lesion")
    Visit = apps.get_model("screening", "DoctorVisit")
    Image = apps.get_model("screening", "LesionImage")
    Review = apps.get_model("screening", "Review")
    visits = Visit.objects.filter(
        withdrawn_at=None, finding="removed", visited_on=F("lesion__closed_on")
    )
    known = set(visits.values_list("lesion_id", flat=True))
    Lesion.objects.filter(pk__in=known).update(closed_day_is_known=True)
    for lesion in Lesion.objects.exclude(closed_on=None).exclude(pk__in=known):
        images = Image.objects.filter(lesion=lesion, withdrawn_at=None)
        newest = images.order_by("-captured_on").first()
        if newest is None or newest.captured_on != lesion.closed_on:
            continue
        done = Review.objects.filter(
            image__in=images.filter(captured_on=lesion.closed_on), management="done"
        )
        said = done.filter(superseded_by=None).order_by("-created").first()
        if said is not None:
            on = timezone.localdate(said.created)
            Lesion.objects.filter(pk=lesion.pk).update(closed_on=on)


class Migration(migrations.Migration):
    dependencies = [("screening", "0016_who_answers_for_webhooks")]

    operations = [
        migrations.AddField(
            model_name="lesion",
            name="closed_day_is_known",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Otherwise it was removed on `closed_on` or before.",
            ),
        ),
        migrations.RunPython(say_what_is_known, migrations.RunPython.noop),
    ]
