"""What members of a clinic may do, by role."""

from __future__ import annotations

from django.db import models


class Role(models.TextChoices):
    ADMIN = "admin", "Admin"
    CLINICIAN = "clinician", "Clinician"
    ASSISTANT = "assistant", "Assistant"
    VIEWER = "viewer", "Viewer"


WRITERS = (Role.ADMIN, Role.CLINICIAN, Role.ASSISTANT)
REVIEWERS = (Role.ADMIN, Role.CLINICIAN)
EXPORTERS = (Role.ADMIN,)
"""Roles that may export whole records: admins are responsible for them."""
