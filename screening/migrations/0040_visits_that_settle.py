"""A visit keeps whether it could settle warnings when it was entered.

A person's visit used to close a lesion on a record that a clinic follows. Lesions that nothing
else closed are reopened, so that the clinic sees them.

An announcement says whether it follows from a finding.
"""

from django.db import migrations, models

WHY = (
    "It was closed by a visit that the person entered. On a record that a clinic follows, the "
    "clinic decides."
)


def settle_on_ones_own_record(apps, schema_editor):
    apps.get_model("screening", "DoctorVisit").objects.filter(lesion__patient__clinic=None).update(
        settles=True
    )


def reopen_what_visits_closed(apps, schema_editor):
    """Lesions of a clinic that a visit closed, and no conclusion and no histology since says that
    they were removed. The correction names who had closed it, and says why.
    """
    Lesion, Visit, Histology, Review, Correction = (
        apps.get_model("screening", name)
        for name in ("Lesion", "DoctorVisit", "Histology", "Review", "Correction")
    )
    closed = Lesion.objects.filter(closed_on__isnull=False, patient__clinic__isnull=False)
    opened = []
    for lesion in closed.select_related("patient"):
        by_hand = Correction.objects.filter(
            lesion=lesion, kind="reopened", after__by_hand=True
        ).order_by("-created")
        last = by_hand.first()
        since = {} if last is None else {"created__gte": last.created}
        said = (
            Histology.objects.filter(
                lesion=lesion, withdrawn_at=None, superseded_by=None, excised=True, **since
            ),
            Review.objects.filter(
                image__lesion=lesion,
                image__withdrawn_at=None,
                superseded_by=None,
                management="done",
                **since,
            ),
        )
        visits = Visit.objects.filter(
            lesion=lesion, finding="removed", recorded_by=lesion.closed_by_id
        )
        if not visits.exists() or any(acts.exists() for acts in said):
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
        print(f"\n    Opened again, since only a person's visit had closed them: {', '.join(opened)}")


class Migration(migrations.Migration):
    dependencies = [("screening", "0039_announcements")]

    operations = [
        migrations.AddField(
            model_name="doctorvisit",
            name="settles",
            field=models.BooleanField(
                db_default=False,
                editable=False,
                help_text="Whether it may settle warnings: no clinic followed the record when it "
                "was entered.",
            ),
        ),
        migrations.AddField(
            model_name="announcement",
            name="reveals_finding",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="It follows from what somebody found: a lesion closed by a conclusion.",
            ),
        ),
        migrations.RunPython(settle_on_ones_own_record, migrations.RunPython.noop),
        migrations.RunPython(reopen_what_visits_closed, migrations.RunPython.noop),
    ]
