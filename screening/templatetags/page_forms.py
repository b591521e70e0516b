"""``{% csrf_token %}`` for every form here: Django's own, and the token of ``form_tokens``.

One tag for both, so that no form can have one without the other.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from screening.web import form_tokens

register = template.Library()


class FormTokenNode(CsrfTokenNode):
    def render(self, context: Any) -> SafeString:
        protection = super().render(context)
        request = context.get("request")
        word = form_tokens.token(request) if request is not None and protection else ""
        if not word:
            return mark_safe(protection)  # noqa: S308  Django's own input
        return format_html(
            '{}<input type="hidden" name="{}" value="{}">',
            mark_safe(protection),  # noqa: S308
            form_tokens.FIELD,
            word,
        )


@register.tag("csrf_token")
def csrf_token(parser: Any, token: Any) -> FormTokenNode:
    return FormTokenNode()
