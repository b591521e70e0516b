import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def those_there_were_mailed(apps, schema_editor):
    apps.get_model("accounts", "Invitation").objects.update(mailed_at=models.F("created"))


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_scopes_and_applications'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='invitation',
            name='one_open_invitation_per_clinic_and_email',
        ),
        migrations.AddField(
            model_name='invitation',
            name='mailed_at',
            field=models.DateTimeField(editable=False, help_text='When the mail server took it; empty: not yet.', null=True),
        ),
        migrations.AddField(
            model_name='invitation',
            name='withdrawn_at',
            field=models.DateTimeField(editable=False, help_text='When it was withdrawn, or replaced by another.', null=True),
        ),
        migrations.RunPython(those_there_were_mailed, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='application',
            name='registered_by',
            field=models.ForeignKey(help_text='Who answers for it: it works only while they are an admin of the clinic.', on_delete=django.db.models.deletion.PROTECT, related_name='registered_applications', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='invitation',
            constraint=models.UniqueConstraint(condition=models.Q(('accepted_at', None), ('withdrawn_at', None)), fields=('clinic', 'email'), name='one_open_invitation_per_clinic_and_email'),
        ),
        migrations.AddConstraint(
            model_name='invitation',
            constraint=models.CheckConstraint(condition=models.Q(('accepted_at', None), ('withdrawn_at', None), _connector='OR'), name='accepted_invitation_is_not_withdrawn'),
        ),
    ]
