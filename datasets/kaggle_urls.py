"""Addresses below ``datasets/kaggle/``, in the namespace of ``datasets``."""

from django.urls import path

from datasets import kaggle_views as views

urlpatterns = [
    path("", views.search, name="kaggle"),
    path("imports", views.imports, name="kaggle_imports"),
    path("imports/<oid:activity_id>", views.import_detail, name="kaggle_import"),
    path("imports/<oid:activity_id>/progress", views.import_progress, name="kaggle_import_progress"),
    path("imports/<oid:activity_id>/cancel", views.import_cancel, name="kaggle_import_cancel"),
    path("view/<slug:owner>/<slug:slug>", views.dataset, name="kaggle_dataset"),
    path("view/<slug:owner>/<slug:slug>/import/<str:ticket>", views.begin, name="kaggle_begin"),
]
