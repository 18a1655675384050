"""Small tables written as normalised CSV files, and their profiles."""

import csv

from ml.profile import profile_table


def write_table(path, columns):
    """``columns``: names with their values, all text."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        rows = list(zip(*columns.values(), strict=True))
        for row in rows:
            writer.writerow(row) if row != ("",) else file.write('""\n')
    return path


def profile(path, columns, **options):
    return profile_table(write_table(path, columns), **{"overrides": {}, **options})


def column(table, name):
    return next(found for found in table.columns if found.name == name)


def findings(table, kind):
    """The columns for which a kind of check did not pass, with the status."""
    return {
        (check.column, check.status) for check in table.checks if check.kind == kind and check.status != "passed"
    }
