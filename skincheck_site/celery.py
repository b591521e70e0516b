"""The Celery application. Tasks live in ``screening/tasks.py``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")

app = Celery("skincheck")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
