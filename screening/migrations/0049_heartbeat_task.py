from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("screening", "0048_twins")]

    operations = [
        migrations.AddField(
            model_name="heartbeat",
            name="task",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Empty: it had none.",
                max_length=100,
            ),
        ),
        migrations.AddField(
            model_name="heartbeat",
            name="task_limit",
            field=models.PositiveIntegerField(
                help_text="Seconds after which the task is ended.", null=True
            ),
        ),
        migrations.AddField(
            model_name="heartbeat",
            name="task_since",
            field=models.DateTimeField(null=True),
        ),
    ]
