"""Everything under ``/dicomweb/``."""

from django.urls import path, re_path

from screening.api.dicomweb import views
from screening.api.http.errors import nothing_here

app_name = "dicomweb"

STUDY = "studies/<str:study>"
SERIES = f"{STUDY}/series/<str:series>"
INSTANCE = f"{SERIES}/instances/<str:instance>"
series = views.SearchView.as_view(level="series")
instances = views.SearchView.as_view(level="instances")
retrieved = views.InstancesView.as_view()
metadata = views.MetadataView.as_view()
rendered = views.RenderedView.as_view()

urlpatterns = [
    path("studies", views.StudiesView.as_view(), name="studies"),
    path("series", series, name="all-series"),
    path("instances", instances, name="all-instances"),
    path(f"{STUDY}/series", series, name="series-of-study"),
    path(f"{STUDY}/instances", instances, name="instances-of-study"),
    path(f"{SERIES}/instances", instances, name="instances-of-series"),
    path(STUDY, views.StudyView.as_view(), name="study"),
    path(SERIES, retrieved, name="series"),
    path(INSTANCE, retrieved, name="instance"),
    path(f"{STUDY}/metadata", metadata, name="study-metadata"),
    path(f"{SERIES}/metadata", metadata, name="series-metadata"),
    path(f"{INSTANCE}/metadata", metadata, name="instance-metadata"),
    path(f"{INSTANCE}/rendered", rendered, name="rendered"),
    path(f"{INSTANCE}/frames/<str:frames>", views.FramesView.as_view(), name="frames"),
    path(f"{INSTANCE}/frames/<str:frames>/rendered", rendered, name="rendered-frame"),
    # Last: catches URLs with a trailing slash too.
    re_path(r"^(?P<path>[\s\S]*)$", nothing_here, name="nothing"),
]
