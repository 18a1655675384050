"""Addresses of a dataset's profile, below ``datasets/<id>/profile``."""

from django.urls import path

from datasets import profile_downloads, profile_views

urlpatterns = [
    path("", profile_views.profile, name="profile"),
    path("/section", profile_views.section, name="profile_section"),
    path("/status", profile_views.status, name="profile_status"),
    path("/again", profile_views.again, name="profile_again"),
    path("/relation", profile_views.relation, name="profile_relation"),
    path("/target", profile_views.target, name="profile_target"),
    path("/relation/again", profile_views.relation_again, name="profile_relation_again"),
    path("/columns/<int:index>/type", profile_views.column_type, name="profile_type"),
    path("/columns/<int:index>.csv", profile_downloads.column, name="profile_column_data"),
    path("/columns.csv", profile_downloads.columns, name="profile_columns_data"),
    path("/checks.csv", profile_downloads.checks, name="profile_checks_data"),
    path("/associations.csv", profile_downloads.associations, name="profile_associations_data"),
    path("/relation.csv", profile_downloads.relation, name="profile_relation_data"),
]
