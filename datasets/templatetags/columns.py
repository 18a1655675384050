"""Columns in words."""

from django import template

from ml.column_types import ColumnType

register = template.Library()


@register.filter
def type_name(kind: str) -> str:
    """What people call the type of a column."""
    return ColumnType(kind).label
