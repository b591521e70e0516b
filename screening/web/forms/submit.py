"""Passes what a person submits to the write path, and its errors back to the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest

from screening.web.forms.edit_form import EditForm
from screening.web.forms.settling import SettlingForm

T = TypeVar("T")


def submit(form: forms.Form, write: Callable[..., T], **fixed: Any) -> T | None:
    """Call a write path function with the form's fields.

    None if the form is invalid, if a rule rejects it, or if the record was changed or more arrived
    at the lesion since the form was opened: the form then holds the errors.
    """
    if not form.is_valid():
        return None
    fields = {name: value for name, value in form.cleaned_data.items() if name != "opened"}
    do = partial(write, **fixed, **fields)
    try:
        if isinstance(form, SettlingForm):
            return form.write(partial(write, **fixed), fields)
        return form.write(do) if isinstance(form, EditForm) else do()
    except ValidationError as error:
        add_errors(form, error)
        return None


def carry_out(request: HttpRequest, write: Callable[..., Any], done: str, **fixed: Any) -> bool:
    """Call a write path function that needs no form. A message says ``done``, or why not."""
    try:
        write(user=request.user, **fixed)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return False
    messages.success(request, done)
    return True


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """Each message beside its field; messages for fields not in this form come first."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for field, errors in error.error_dict.items():
        form.add_error(
            field if field in form.fields and field != NON_FIELD_ERRORS else None, errors
        )
