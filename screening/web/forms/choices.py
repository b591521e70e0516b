"""Choices among records that depend on the user."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.db.models import QuerySet


def offer(form: forms.Form, name: str, records: QuerySet[Any]) -> None:
    """Let the field ``name`` choose among these records."""
    cast(forms.ModelChoiceField, form.fields[name]).queryset = records
