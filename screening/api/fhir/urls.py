"""Everything under ``/fhir/``."""

from django.urls import path, re_path

from screening.api.fhir import views
from screening.api.fhir.outcomes import nothing_here

app_name = "fhir"

urlpatterns = [
    path("R4/metadata", views.CapabilityView.as_view(), name="metadata"),
    path("R4/.well-known/smart-configuration", views.SmartView.as_view(), name="smart"),
    path("R4/Binary/<uuid:pk>", views.BinaryView.as_view(), name="binary"),
    path("R4/Patient/<uuid:pk>/$everything", views.EverythingView.as_view(), name="everything"),
    path("R4/<str:kind>", views.SearchView.as_view(), name="search"),
    path("R4/<str:kind>/_search", views.PostedSearchView.as_view(), name="posted-search"),
    path("R4/<str:kind>/<str:pk>", views.ReadView.as_view(), name="read"),
    # Last: catches URLs without a trailing slash too, which would otherwise redirect.
    re_path(r"^(?P<path>[\s\S]*)$", nothing_here, name="nothing"),
]
