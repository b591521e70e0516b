from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0010_code_of_a_clinic'),
    ]

    operations = [
        migrations.AddField(
            model_name='clinic',
            name='requires_bound_keys',
            field=models.BooleanField(db_default=False, default=False, help_text="Members' API keys reach its records only if they are bound to it."),
        ),
    ]
