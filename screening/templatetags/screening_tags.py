"""Small words of the templates: icons, outcomes, per cent."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from screening.models import Outcome

register = template.Library()

OUTCOME_ICONS = {
    Outcome.URGENT: "octagon",
    Outcome.SEE_DOCTOR: "triangle",
    Outcome.MONITOR: "clock",
    Outcome.NOT_ASSESSABLE: "dashed",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of ``static/img/icons.svg``. It says nothing by itself: a word stands beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def outcome_badge(outcome: str) -> SafeString:
    """Colour, icon and word, always all three. Empty for no outcome."""
    if not outcome:
        return SafeString("")
    known = Outcome(outcome)
    return format_html(
        '<span class="outcome outcome-{}">{}{}</span>',
        known.value,
        icon(OUTCOME_ICONS[known]),
        known.label,
    )


@register.filter
def percent(share: float) -> str:
    """Whole per cent; "<1 %" and ">99 %" at the ends, where whole numbers would claim too much."""
    if share < 0.01:
        return "<1 %"
    if share > 0.99:
        return ">99 %"
    return f"{share * 100:.0f} %"
