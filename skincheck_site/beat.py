"""What beat starts, and when."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab


def schedule(sweep_seconds: int) -> dict[str, dict[str, Any]]:
    return {
        "sweep-predictions": {
            "task": "screening.tasks.sweep_predictions_task",
            "schedule": sweep_seconds,
            "options": {"expires": sweep_seconds},
        },
        "sweep-webhooks": {
            "task": "screening.tasks.sweep_webhooks_task",
            "schedule": sweep_seconds,
            "options": {"expires": sweep_seconds},
        },
        "forget-old-deliveries": {
            "task": "screening.tasks.forget_old_deliveries_task",
            "schedule": crontab(minute="17", hour="3"),
        },
        "sweep-batches": {
            "task": "screening.exchange.tasks.sweep_batches_task",
            "schedule": sweep_seconds,
            "options": {"expires": sweep_seconds},
        },
        "forget-answers-and-tokens": {
            "task": "screening.tasks.forget_answers_and_tokens_task",
            "schedule": crontab(minute="17"),
            "options": {"expires": 3000},
        },
        "mail-invitations": {
            "task": "screening.tasks.mail_invitations_task",
            "schedule": crontab(minute="*/20"),
            "options": {"expires": 1200},
        },
        # By day, and every hour, so that a mail server that was away is asked again.
        "mail-reminders": {
            "task": "screening.tasks.mail_reminders_task",
            "schedule": crontab(minute="0", hour="7-19"),
            "options": {"expires": 3000},
        },
    }
