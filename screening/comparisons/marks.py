"""Write path of people's judgements on change: marks on comparisons, and reasons for closing
alerts.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from screening.models import Alert, ChangeMark, Comparison
from screening.write_access import require_writable


@transaction.atomic
def mark_comparison(
    *, user: User, comparison: Comparison, verdict: str, note: str = ""
) -> ChangeMark:
    """Record what the user saw in the comparison. It supersedes earlier marks."""
    require_writable(user=user, patient=comparison.later.lesion.patient)
    mark = ChangeMark(comparison=comparison, marked_by=user, verdict=verdict, note=note.strip())
    mark.full_clean()
    mark.save()
    return mark


@transaction.atomic
def close_alert(*, user: User, alert: Alert, reason: str) -> Alert:
    """Close the change with a reason. It stays in the history.

    Raises ValidationError without a reason, and for an alert that is already closed.
    """
    require_writable(user=user, patient=alert.lesion.patient)
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say why it is closed."})
    if len(reason) > 400:
        raise ValidationError({"reason": "Use at most 400 characters."})
    now = timezone.now()
    # Lock only its own row: if two people close it at once, the second must find it closed.
    closed = Alert.everything.open().filter(pk=alert.pk)
    if not closed.update(closed_at=now, closed_by=user, close_reason=reason, modified=now):
        raise ValidationError("This change has already been closed.")
    alert.refresh_from_db()
    return alert
