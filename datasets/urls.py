"""Addresses below ``datasets/``."""

from django.urls import include, path

from datasets import receipt_views, rows_views, sample_views, snippet_views, staging_views, views

app_name = "datasets"
urlpatterns = [
    path("", views.dataset_list, name="list"),
    path("new", views.new, name="new"),
    path("kaggle/", include("datasets.kaggle_urls")),
    path("upload/<str:ticket>", views.upload, name="upload"),
    path("samples/<slug:slug>", sample_views.sample, name="sample"),
    path("<oid:dataset_id>/preview", staging_views.preview, name="preview"),
    path("<oid:dataset_id>/preview/progress", staging_views.progress, name="preview_progress"),
    path("<oid:dataset_id>/preview/cancel", staging_views.cancel, name="preview_cancel"),
    path("<oid:dataset_id>/preview/table", staging_views.take_table, name="take_table"),
    path("<oid:dataset_id>/import", staging_views.import_upload, name="import"),
    path("<oid:dataset_id>/abandon", staging_views.abandon, name="abandon"),
    path("<oid:dataset_id>/receipt", receipt_views.receipt, name="receipt"),
    path("<oid:dataset_id>/quarantine", receipt_views.quarantine, name="quarantine"),
    path("<oid:dataset_id>", views.detail, name="detail"),
    path("<oid:dataset_id>/profile", include("datasets.profile_urls")),
    path("<oid:dataset_id>/rows", rows_views.rows, name="rows"),
    path("<oid:dataset_id>/rows/index", rows_views.index, name="rows_index"),
    path("<oid:dataset_id>/api", snippet_views.snippets, name="snippets"),
    path("<oid:dataset_id>/rename", views.rename, name="rename"),
    path("<oid:dataset_id>/target", views.target, name="target"),
    path("<oid:dataset_id>/download", views.download, name="download"),
    path("<oid:dataset_id>/delete", views.delete, name="delete"),
]
