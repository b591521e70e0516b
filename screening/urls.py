"""Pages. Every one needs a login unless its view says otherwise."""

from django.urls import path

from screening.views import images, lesions, media, pages, patients

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
    path("lesions/<uuid:pk>/images/new/", images.new, name="image_new"),
    path("images/<uuid:pk>/", images.detail, name="image"),
    path("images/<uuid:pk>/status/", images.status, name="image_status"),
    path("images/<uuid:pk>/read/", images.read_again, name="image_read"),
    path("images/<uuid:pk>/review/", images.review, name="image_review"),
    path("media/<uuid:pk>/<str:rendition>", media.rendition, name="media"),
]
