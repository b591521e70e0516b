from django.db import models
from django.utils import timezone
from uuid_utils.compat import uuid7


class UUIDModel(models.Model):
    """A row with a time-ordered UUID, the one identifier in URLs, API and logs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    modified = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
