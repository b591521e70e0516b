"""What the account pages need to show forms that are not ours in our look."""

from __future__ import annotations

from django import template
from django.forms import BoundField

register = template.Library()

_CLASSES = {"select": "form-select", "checkbox": "form-check-input", "radio": "form-check-input"}


@register.filter
def dressed(field: BoundField) -> BoundField:
    """The field with the class of our look on its widget. Changes this form's own widget only."""
    widget = field.field.widget
    widget.attrs.pop("placeholder", None)  # the label says it, and stays
    widget.attrs["class"] = _CLASSES.get(widget.input_type or "", "form-control")
    return field
