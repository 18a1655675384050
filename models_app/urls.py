"""Trainings, jobs and models."""

from django.urls import path

from models_app import (
    autopsy_views,
    bundle_views,
    compare_views,
    explanation_views,
    figure_views,
    golden_views,
    job_views,
    label_views,
    news_views,
    plan_views,
    prediction_views,
    report_views,
    threshold_views,
    version_views,
    views,
)

app_name = "models"

_VERSION = "models/<oid:model_id>/versions/<int:version>"

urlpatterns = [
    path("datasets/<oid:dataset_id>/train", job_views.train, name="train"),
    path("datasets/<oid:dataset_id>/train/target", job_views.train_target, name="train_target"),
    path("datasets/<oid:dataset_id>/train/plan", plan_views.train_plan, name="train_plan"),
    path("plans", plan_views.plan_accuracy, name="plan_accuracy"),
    path("jobs/", job_views.job_list, name="jobs"),
    path("jobs/news", news_views.news, name="news"),
    path("jobs/seen", news_views.all_seen, name="jobs_seen"),
    path("jobs/<oid:job_id>", job_views.job_detail, name="job"),
    path("jobs/<oid:job_id>/progress", job_views.job_progress, name="job_progress"),
    path("jobs/<oid:job_id>/figure", job_views.job_figure, name="job_figure"),
    path("jobs/<oid:job_id>/cancel", job_views.job_cancel, name="job_cancel"),
    path("jobs/<oid:job_id>/stop", job_views.job_stop, name="job_stop"),
    path("models/", views.model_list, name="list"),
    path("models/compare", compare_views.compare, name="compare"),
    path("models/compare/paired", compare_views.paired, name="compare_paired"),
    path("models/compare/paired/cancel", compare_views.paired_cancel, name="compare_paired_cancel"),
    path("models/<oid:model_id>", views.model_detail, name="detail"),
    path("models/<oid:model_id>/rename", views.model_rename, name="rename"),
    path("models/<oid:model_id>/delete", views.model_delete, name="delete"),
    path("models/<oid:model_id>/follow", version_views.follow, name="follow"),
    path(f"{_VERSION}/labels", label_views.labels, name="labels"),
    path(f"{_VERSION}/promote", version_views.promote, name="promote"),
    path(f"{_VERSION}/delete", version_views.version_delete, name="version_delete"),
    path(f"{_VERSION}/figures", figure_views.figures, name="figures"),
    path(f"{_VERSION}/figures/<slug:key>.csv", figure_views.figure_data, name="figure_data"),
    path(f"{_VERSION}/thresholds", threshold_views.thresholds, name="thresholds"),
    path(f"{_VERSION}/explanations", explanation_views.explanations, name="explanations"),
    path(f"{_VERSION}/explanations/cancel", explanation_views.explanations_cancel, name="explanations_cancel"),
    path(f"{_VERSION}/explanations/<slug:key>.csv", explanation_views.explanation_data, name="explanation_data"),
    path(f"{_VERSION}/autopsy", autopsy_views.autopsy, name="autopsy"),
    path(f"{_VERSION}/autopsy/cancel", autopsy_views.autopsy_cancel, name="autopsy_cancel"),
    path(f"{_VERSION}/explain-row", explanation_views.explain_row, name="explain_row"),
    path(f"{_VERSION}/replay", golden_views.replay, name="replay"),
    path(f"{_VERSION}/predict", prediction_views.model_predict, name="predict"),
    path(f"{_VERSION}/what-if", prediction_views.what_if, name="what_if"),
    path(f"{_VERSION}/report", report_views.report, name="report"),
    path(f"{_VERSION}/download", views.model_download, name="download"),
    path(f"{_VERSION}/bundle", bundle_views.download_bundle, name="bundle"),
]
