import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def first_admins(apps, schema_editor):
    """It was not recorded who added a clinic's webhook, so its longest-standing admin becomes
    responsible.
    """
    Membership = apps.get_model("accounts", "Membership")
    for webhook in apps.get_model("screening", "Webhook").objects.exclude(clinic=None):
        admins = Membership.objects.filter(
            clinic=webhook.clinic_id, role="admin", user__is_active=True
        )
        first = admins.order_by("pk").first()
        if first is not None:
            webhook.registered_by_id = first.user_id
            webhook.save(update_fields=["registered_by"])


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0004_invitations_stay"),
        ("screening", "0015_setbacks_and_heartbeats"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="registered_by",
            field=models.ForeignKey(
                editable=False,
                help_text="Who answers for a clinic's: it is told of events while they are an admin.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="registered_webhooks",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(first_admins, migrations.RunPython.noop),
    ]
