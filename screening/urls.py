"""Pages. Every one needs a login unless its view says otherwise."""

from django.urls import path

from screening.views import (
    comparisons,
    images,
    lesions,
    measures,
    media,
    pages,
    patients,
    reminders,
)

urlpatterns = [
    path("", pages.home, name="home"),
    path("health/live", pages.live, name="health_live"),
    path("health/ready", pages.ready, name="health_ready"),
    path("data/", pages.data_set, name="data_set"),
    path("model/", pages.model, name="model"),
    path("model/<str:version>/", pages.model, name="model_version"),
    path("model/<str:version>/card.json", pages.model_card, name="model_card"),
    path("patients/", patients.listing, name="patients"),
    path("patients/new/", patients.new, name="patient_new"),
    path("patients/<uuid:pk>/", patients.detail, name="patient"),
    path("patients/<uuid:pk>/edit/", patients.edit, name="patient_edit"),
    path("patients/<uuid:pk>/lesions/new/", lesions.new, name="lesion_new"),
    path("lesions/<uuid:pk>/", lesions.detail, name="lesion"),
    path("lesions/<uuid:pk>/edit/", lesions.edit, name="lesion_edit"),
    path("lesions/<uuid:pk>/compare/", comparisons.compare, name="lesion_compare"),
    path("alerts/<uuid:pk>/close/", comparisons.close_alert, name="alert_close"),
    path("images/<uuid:pk>/outline/", measures.outline, name="image_outline"),
    path("images/<uuid:pk>/scale/", measures.scale, name="image_scale"),
    path("comparisons/<uuid:pk>/mark/", comparisons.mark, name="comparison_mark"),
    path("lesions/<uuid:pk>/images/new/", images.new, name="image_new"),
    path("images/<uuid:pk>/", images.detail, name="image"),
    path("images/<uuid:pk>/status/", images.status, name="image_status"),
    path("images/<uuid:pk>/read/", images.read_again, name="image_read"),
    path("images/<uuid:pk>/review/", images.review, name="image_review"),
    path("reminders/", reminders.listing, name="reminders"),
    path("lesions/<uuid:pk>/reminder/", reminders.set_interval, name="lesion_reminder"),
    path("reminders/<uuid:pk>/snooze/", reminders.snooze, name="reminder_snooze"),
    path("reminders/<uuid:pk>/stop/", reminders.stop, name="reminder_stop"),
    path("calendar/link/", reminders.calendar_link, name="calendar_link"),
    path("calendar/link/revoke/", reminders.calendar_revoke, name="calendar_revoke"),
    path("calendar/<str:secret>.ics", reminders.calendar, name="calendar"),
    path("media/<uuid:pk>/<str:rendition>", media.rendition, name="media"),
]
