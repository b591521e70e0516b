import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Texts only: no table changes."""
    dependencies = [
        ("accounts", "0011_required_bound_keys"),
    ]

    operations = [
        migrations.AlterField(
            model_name="apikey",
            name="clinic",
            field=models.ForeignKey(
                blank=True,
                help_text="The only clinic it sees. Empty: everything its owner sees.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="api_keys",
                to="accounts.clinic",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="scopes",
            field=models.JSONField(
                blank=True,
                help_text="What it may do. Empty: everything, as for keys older than scopes.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="application",
            name="jwks",
            field=models.JSONField(
                db_default=[],
                default=list,
                editable=False,
                help_text="Public keys it authenticates with. Empty if they are at jwks_url or it uses its secret.",
            ),
        ),
        migrations.AlterField(
            model_name="application",
            name="registered_by",
            field=models.ForeignKey(
                help_text="Responsible for it. It works only while they are an admin of the clinic.",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="registered_applications",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="clinic",
            name="code",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="People use it to invite the clinic to their record. Empty if nobody can.",
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="clinic",
            name="requires_second_factor",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Members need a second factor to log in."
            ),
        ),
        migrations.AlterField(
            model_name="invitation",
            name="mailed_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When the mail server accepted it. Empty if not yet.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="invitation",
            name="withdrawn_at",
            field=models.DateTimeField(
                editable=False, help_text="When it was withdrawn or replaced.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="usedassertion",
            name="expires_at",
            field=models.DateTimeField(
                editable=False, help_text="After this it is refused anyway."
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="erased_from",
            field=models.DateTimeField(
                editable=False,
                help_text="Scheduled time of erasure. Until then the account can only cancel it.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="mails_reminders",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="If off, the only unrequested mail is about changes to the account.",
            ),
        ),
    ]
