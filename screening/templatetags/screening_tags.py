"""Template tags and filters for small elements: icons, outcomes, per cent."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

from django import template
from django.conf import settings
from django.forms import BoundField
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import devices
from accounts.models import User
from screening.body_map.queries import STATES
from screening.comparisons.presenters import what_changed
from screening.corrections import undo
from screening.corrections.presenters import in_words
from screening.formatting import clinical, percent
from screening.models import Conclusion, Correction, Finding, Outcome
from screening.predictions.advice import act_words
from screening.predictions.outcomes import Standing
from screening.predictions.queries import (
    counting_reading,
    latest_attempt,
    latest_prediction,
    latest_review,
    standing_reviews,
)
from screening.privacy import thumbnails
from screening.reviews.worklist import Reason

register = template.Library()
for found in (counting_reading, latest_prediction, latest_review, standing_reviews):
    register.filter(found)

OUTCOME_ICONS = {
    Outcome.URGENT: "octagon",
    Outcome.SEE_DOCTOR: "triangle",
    Outcome.MONITOR: "clock",
    Outcome.NOT_ASSESSABLE: "dashed",
}


@register.simple_tag(takes_context=True)
def worded(context: Any, text: Any) -> str:
    """The text in the reader's words: see ``docs/glossary.md``."""
    navigation = context.get("navigation")
    if navigation is None or not navigation.in_clinic:
        return text
    found = clinical(str(text))
    return SafeString(found) if isinstance(text, SafeString) else found


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """An icon from ``static/img/icons.svg``. It is decorative: text always accompanies it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
@cache
def outcome_badge(outcome: str) -> SafeString:
    """Colour, icon and word, always all three. Empty without an outcome."""
    if not outcome:
        return SafeString("")
    known = Outcome(outcome)
    return format_html(
        '<span class="outcome outcome-{}">{}{}</span>',
        known.value,
        icon(OUTCOME_ICONS[known]),
        known.label,
    )


@register.simple_tag
def outcome_icon(outcome: str) -> SafeString:
    return icon(OUTCOME_ICONS[Outcome(outcome)])


@register.simple_tag(takes_context=True)
def thumbnail(context: Any, image: UUID, *, is_withdrawn: bool = False) -> str:
    """The address of a thumbnail on this page."""
    return thumbnails.address_of(image, context["user"].pk, is_withdrawn=is_withdrawn)


@register.simple_tag
def identity_provider() -> str:
    """The host of the clinic's identity provider; empty if people log in here alone."""
    return settings.IDENTITY_PROVIDER.name if settings.IDENTITY_PROVIDER else ""


@register.filter
def device(user_agent: str) -> str:
    return devices.named(user_agent)


@register.filter
def outcome_word(outcome: str) -> str:
    return Outcome(outcome).label


@register.filter
def newest_word(standing: Standing) -> str:
    """The outcome of a lesion's newest picture, in a word or two."""
    newest: Any = standing.newest
    if newest.is_withheld:
        return "conclude first"
    if standing.newest_outcome:
        return outcome_word(standing.newest_outcome).lower()
    attempt = latest_attempt(newest)
    return "being read" if attempt is not None and attempt.is_active else "not read"


@register.filter
def finding_word(code: str) -> str:
    return Finding(code).label.lower()


@register.filter
def map_word(state: str) -> str:
    return STATES[state]


@register.filter
def diagnosis_word(code: str) -> str:
    return Conclusion(code).label


@register.filter
def reason_word(code: str) -> str:
    return Reason(code).label


@register.filter
def code_marks(text: str) -> SafeString:
    """Render text between backticks as code."""
    parts = text.split("`")
    marked = ((part, format_html("<code>{}</code>", part))[n % 2] for n, part in enumerate(parts))
    return format_html_join("", "{}", ((part,) for part in marked))


@register.filter
def whose(source: str) -> str:
    """Whose diagnosis it is, for the start of a heading."""
    return {"model": "Software", "clinician": "Clinician"}[source]


@register.filter
def ago(day: date) -> str:
    """How long ago a day was, in whole units: "today", "3 days ago", "5 months ago"."""
    days = (timezone.localdate() - day).days
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    for unit, length in (("year", 365), ("month", 30), ("week", 7)):
        if days >= 2 * length:
            return f"{days // length} {unit}s ago"
    return f"{days} days ago"


@register.filter
def ahead(day: date) -> str:
    """How far ahead a day is, in whole units: "tomorrow", "in 3 days", "in 5 months"."""
    days = (day - timezone.localdate()).days
    if days <= 0:
        return ago(day)
    if days == 1:
        return "tomorrow"
    for unit, length in (("year", 365), ("month", 30), ("week", 7)):
        if days >= 2 * length:
            return f"in {days // length} {unit}s"
    return f"in {days} days"


@register.simple_tag
def signed_bar(change: float, scale: float) -> SafeString:
    """A bar to the right of the centre for more, to the left for less. Text always accompanies it.

    change: a difference of probabilities. scale: percentage points that fill half of its width.
    """
    length = abs(change) * 10_000 / scale
    return format_html(
        '<svg class="signed-bar" viewBox="0 0 200 12" preserveAspectRatio="none" aria-hidden="true"'
        ' focusable="false"><rect class="signed-ground" width="200" height="12"/>'
        '<rect class="signed-{}" x="{}" width="{}" height="12"/>'
        '<rect class="signed-zero" x="99.5" width="1" height="12"/></svg>',
        "more" if change > 0 else "less",
        f"{100 if change > 0 else 100 - length:.2f}",
        f"{length:.2f}",
    )


@register.filter
def control(field: BoundField) -> SafeString:
    """The field's widget with Bootstrap's class, whichever form it comes from."""
    kind = getattr(field.field.widget, "input_type", "textarea")
    classes = {"checkbox": "form-check-input", "select": "form-select"}
    return field.as_widget(attrs={"class": classes.get(kind, "form-control")})


register.filter("act_words", act_words)
register.filter("percent", percent)
register.filter("what_changed", what_changed)


@register.filter
def correction_words(correction: Correction) -> str:
    return in_words(correction)


@register.filter
def may_be_undone_by(correction: Correction, user: User) -> bool:
    return undo.may_be_undone(correction) and undo.is_for(correction, user)
