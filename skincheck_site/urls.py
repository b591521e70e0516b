from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from accounts.web import session_views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/sessions/", session_views.listing, name="usersessions_list"),
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.web.urls")),
    path("api/", include("screening.api.urls")),
    path("fhir/", include("screening.api.fhir.urls")),
    path("dicomweb/", include("screening.api.dicomweb.urls")),
    path("", include("screening.web.urls")),
]
if settings.DEBUG_TOOLBAR:
    urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))

# Under /api/ and /dicomweb/ these respond with problem+json, under /fhir/ in FHIR, elsewhere as
# Django does.
handler400 = "screening.api.http.errors.bad_request"
handler500 = "screening.api.http.errors.server_error"
