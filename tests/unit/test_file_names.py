"""Names of uploaded files: safe for a blob path, readable for people."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.file_names import SHOWN_LENGTH, STEM_LENGTH, clean_name, names_for
from smartml.errors import InvalidInput
from storage.paths import dataset_blob


@pytest.mark.parametrize(
    ("original", "shown", "blob"),
    [
        ("housing.csv", "housing", "housing.csv"),
        ("Sales 2024.TSV", "Sales 2024", "Sales_2024.csv"),
        ("notes.txt", "notes", "notes.csv"),
        ("../../etc/passwd.csv", "passwd", "passwd.csv"),
        ("..\\..\\windows\\system.csv", "system", "system.csv"),
        ("C:\\data\\été.csv", "été", "été.csv"),
        ("🏠 Preise.csv", "🏠 Preise", "Preise.csv"),
        ("🏠.csv", "🏠", "dataset.csv"),
        ("数据.csv", "数据", "数据.csv"),
        ("Größe 城市.csv", "Größe 城市", "Größe_城市.csv"),
        ("نام، هند ½.csv", "نام، هند ½", "نام_هند_½.csv"),
        ("à la carte.csv", "à la carte", "à_la_carte.csv"),
        (".csv", "dataset", "dataset.csv"),
        ("....csv", "...", "dataset.csv"),
        ("a.b.csv", "a.b", "a.b.csv"),
        ("-rf.csv", "-rf", "rf.csv"),
        ("two\nlines\x00.csv", "two lines", "two_lines.csv"),
        ("right\u202eto left.csv", "right to left", "right_to_left.csv"),
        ("e\u0301.csv", "é", "é.csv"),
        ("sales.csv.gz", "sales", "sales.csv"),
        ("sales.GZ", "sales", "sales.csv"),
        ("sales 2024.zip", "sales 2024", "sales_2024.csv"),
        ("book.xlsx", "book", "book.csv"),
        ("part.0.parquet", "part.0", "part.0.csv"),
    ],
)
def test_both_names_are_made_from_the_last_part_of_the_path(original, shown, blob):
    names = names_for(original)

    assert (names.shown, names.blob) == (shown, blob)


@pytest.mark.parametrize(
    ("original", "sentence"),
    [
        ("data.csv.bz2", "Of compressed files only .gz and .zip are read"),
        ("data.7z", "Of compressed files only .gz and .zip are read"),
        ("data.tar.gz", "Tar archives are not read"),
        ("data.tgz", "Tar archives are not read"),
        ("data.xls", "Of workbooks only .xlsx is read"),
        ("photo.png", "Only .csv, .tsv, .txt, .gz, .zip, .xlsx and .parquet files are read"),
        ("housing", "Only .csv, .tsv, .txt, .gz, .zip, .xlsx and .parquet files are read"),
        ("", "Only .csv, .tsv, .txt, .gz, .zip, .xlsx and .parquet files are read"),
    ],
)
def test_other_kinds_of_file_are_refused_at_the_field(original, sentence):
    with pytest.raises(InvalidInput, match=re.escape(sentence)) as refusal:
        names_for(original)

    assert refusal.value.fields["file"].startswith(sentence)


@pytest.mark.parametrize(
    "text", ["\u200b", " \u200b\ufeff\u00ad ", "\u200d\ufe0f", "\u3164", "\u2800\u115f", "\u0301", "\x00"]
)
def test_a_name_of_which_nothing_is_seen_is_none(text):
    assert clean_name(text) == ""
    assert names_for(f"{text}.csv").shown == "dataset"


def test_long_names_are_cut():
    names = names_for("long " * 200 + ".csv")

    assert len(names.shown) <= SHOWN_LENGTH
    assert len(names.blob) <= STEM_LENGTH + len(".csv")
    assert names.blob.endswith(".csv")


@given(st.text(max_size=300))
def test_any_text_gives_a_safe_blob_name_and_a_readable_one(text):
    names = names_for(f"{text}.csv")

    assert names.blob.endswith(".csv")
    assert names.blob[0] not in "._-"
    assert all(char in "._-" or unicodedata.category(char)[0] in "LNM" for char in names.blob)
    assert unicodedata.is_normalized("NFC", names.blob)
    assert dataset_blob("a" * 24, "b" * 24, names.blob).count("/") == 2
    assert names.shown
    assert "\n" not in names.shown
    assert clean_name(names.shown) == names.shown
