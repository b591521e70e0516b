"""The Celery application. Tasks live in ``screening/tasks.py``, those of batches in
``screening/exchange/tasks.py``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")

app = Celery("skincheck")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["screening.exchange"])
