"""Addresses below ``datasets/``."""

from django.urls import path

from datasets import views

app_name = "datasets"
urlpatterns = [
    path("", views.dataset_list, name="list"),
    path("new", views.new, name="new"),
    path("upload/<str:ticket>", views.upload, name="upload"),
    path("<oid:dataset_id>", views.detail, name="detail"),
    path("<oid:dataset_id>/schema", views.schema, name="schema"),
    path("<oid:dataset_id>/rename", views.rename, name="rename"),
    path("<oid:dataset_id>/target", views.target, name="target"),
    path("<oid:dataset_id>/download", views.download, name="download"),
    path("<oid:dataset_id>/delete", views.delete, name="delete"),
]
