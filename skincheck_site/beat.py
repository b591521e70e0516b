"""Beat's schedule."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

BEAT_SECONDS = 20
AUDIT_SECONDS = 10
BY_DAY = range(7, 20)
"""The hours at which reminders are mailed."""


def schedule() -> dict[str, dict[str, Any]]:
    """The periodic tasks. Frequent sweeps are not here: ``screening.sweeper`` runs them and needs
    no broker.
    """
    return {
        "beat": {
            "task": "screening.tasks.beat_task",
            "schedule": BEAT_SECONDS,
            # Not queued behind the follow-up of readings, or the heartbeat would be missed.
            "options": {"expires": BEAT_SECONDS, "queue": "interactive"},
        },
        "chain-audit-entries": {
            "task": "screening.tasks.chain_audit_entries_task",
            "schedule": AUDIT_SECONDS,
            "options": {"expires": AUDIT_SECONDS},
        },
        "close-old-audit-segment": {
            "task": "screening.tasks.close_old_audit_segment_task",
            "schedule": crontab(minute="47", hour="3"),
        },
        "forget-old-deliveries": {
            "task": "screening.tasks.forget_old_deliveries_task",
            "schedule": crontab(minute="17", hour="3"),
        },
        "remove-orphans": {
            "task": "screening.tasks.remove_orphans_task",
            "schedule": crontab(minute="37", hour="3"),
        },
        # At night, before the backup; repeated if the storage was unavailable.
        "erase": {
            "task": "screening.tasks.erase_task",
            "schedule": crontab(minute="7", hour="1-4"),
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
        # In the daytime, every hour, so that an unavailable mail server is tried again.
        "mail-reminders": {
            "task": "screening.tasks.mail_reminders_task",
            "schedule": crontab(minute="0", hour=[*BY_DAY]),
            "options": {"expires": 3000},
        },
    }
