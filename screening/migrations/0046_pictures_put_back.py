"""Reopen lesions on which a picture that warns was put back after they had been closed.

It was withdrawn while the lesion was closed, so whoever closed it was not shown it, and once put
back it raised no warning. Such a picture is no longer put back on a closed lesion.
"""

from django.db import migrations
from django.db.models import F

WHY = (
    "A picture that warns was put back after this spot had been closed: nobody had been shown it. "
    "Look at it, and close the spot again."
)
ADULT_FROM = 16


def reopen_what_was_closed_unseen(apps, schema_editor):
    Image, Correction = (apps.get_model("screening", name) for name in ("LesionImage", "Correction"))
    quiet = Image.objects.filter(
        withdrawn_at=None,
        lesion__withdrawn_at=None,
        lesion__closed_on__gte=F("captured_on"),
        corrections__kind="restored",
    )
    opened = []
    for image in quiet.select_related("lesion__patient").distinct():
        lesion = image.lesion
        if str(lesion.pk) in opened or not _warns(image) or not _was_closed_unseen(apps, image):
            continue
        Correction.objects.create(
            kind="reopened",
            made_by_id=lesion.closed_by_id,
            patient=lesion.patient,
            lesion=lesion,
            reason=WHY,
            before={"closed_on": lesion.closed_on.isoformat()},
            after={"closed_on": None},
        )
        lesion.closed_on, lesion.closed_by, lesion.closed_because = None, None, ""
        lesion.closed_day_is_known = False
        lesion.save()
        opened.append(str(lesion.pk))
    if opened:
        print(f"\n    Opened again, with pictures put back unseen: {', '.join(opened)}")


def _warns(image):
    counting = image.predictions.filter(told_from__isnull=False, told_until=None).first()
    if counting is None or counting.outcome == "not_assessable":
        return False
    born = image.lesion.patient.birth_year
    is_of_child = born is not None and 0 <= image.captured_on.year - born <= ADULT_FROM
    return is_of_child or counting.outcome != "monitor"


def _was_closed_unseen(apps, image):
    """Whether its lesion, or one merged into it, was closed between the withdrawal of the picture
    and its return, and nobody has opened it again since.
    """
    Lesion, Correction = (apps.get_model("screening", name) for name in ("Lesion", "Correction"))
    restored = image.corrections.filter(kind="restored").order_by("-created").first()
    out = image.corrections.filter(kind="withdrawn", created__lt=restored.created)
    withdrawn = out.order_by("-created").first()
    if withdrawn is None:
        return False
    lesions, came = {image.lesion_id}, [image.lesion_id]
    while came:
        merged = Lesion.objects.filter(merged_into__in=came).exclude(pk__in=lesions)
        came = list(merged.values_list("pk", flat=True))
        lesions.update(came)
    meanwhile = Correction.objects.filter(
        lesion__in=lesions, created__range=(withdrawn.created, restored.created)
    )
    since = Correction.objects.filter(lesion=image.lesion_id, created__gt=restored.created)
    return (
        meanwhile.filter(kind="closed").exists()
        and not since.filter(kind__in=("reopened", "closed")).exists()
    )


class Migration(migrations.Migration):
    dependencies = [("screening", "0045_dicom_nodes")]

    operations = [
        migrations.RunPython(reopen_what_was_closed_unseen, migrations.RunPython.noop),
    ]
