"""Where every page lives."""

from django.urls import include, path, register_converter

from smartml import views
from smartml.api import api
from smartml.api_docs import api_docs
from storage.ids import ObjectIdConverter

register_converter(ObjectIdConverter, "oid")

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("dashboard/summary", views.dashboard_summary, name="dashboard_summary"),
    path("status/storage", views.storage_banner, name="storage_banner"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("api/docs", api_docs, name="api_docs"),
    path("api/v1/", api.urls),
    path("accounts/", include("accounts.urls")),
    path("datasets/", include("datasets.urls")),
    path("", include("models_app.urls")),
]

handler400 = "smartml.views.bad_request"
handler403 = "smartml.views.permission_denied"
handler404 = "smartml.views.page_not_found"
handler500 = "smartml.views.server_error"
