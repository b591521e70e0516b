from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("screening", "0049_heartbeat_task"),
    ]

    operations = [
        migrations.AddField(
            model_name="following",
            name="label_before",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="What the owner called the record, if the clinic gave it another label.",
                max_length=80,
            ),
        ),
    ]
