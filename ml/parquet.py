"""Parquet files as UTF-8 CSV, a batch of rows at a time.

Numbers keep every digit (decimals are never written with an exponent), times are ISO 8601 (with a zone: in UTC),
missing values and NaN are empty. A nested value (list, struct, map) becomes JSON text. Texts are in quotes.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ml.containers_common import MIB, GuardedFile, Limits, Member, Meter, readable, refuse_unfolding, size_of
from smartml.errors import InvalidTable, SmartMLError, TooLarge

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_MAGIC: Final = b"PAR1"
_MAGIC_ENCRYPTED: Final = b"PARE"
_BATCH_ROWS: Final = 8192
_BATCH_CELLS: Final = 400_000
_BATCH_BYTES: Final = 16 * MIB
_AGAIN: Final = "Write the table as Parquet or CSV again and upload that."


def parquet_members(file: BinaryIO, limits: Limits) -> tuple[Member, ...]:
    """The one table of the file, when it can be read."""
    with _readable_parquet():
        _checked(_open(file), size_of(file), limits)
    return (Member(name="", size=None),)


def parquet_csv(file: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """The table as CSV with a header, in pieces of a few MiB at most."""
    with _readable_parquet():
        parquet = _open(file)
        _checked(parquet, size_of(file), limits)
    return _csv(file, parquet, limits)


def _csv(file: BinaryIO, parquet: "pq.ParquetFile", limits: Limits) -> Iterator[bytes]:
    # The ratio was judged by what the file declares; constant columns rightly unfold a thousand times.
    meter = Meter(Limits(max_output_bytes=limits.max_output_bytes, max_ratio=float("inf")))
    names = parquet.schema_arrow.names
    piece = _header(names)
    batches = _batches(file, parquet)
    while True:
        meter.add(len(piece))
        yield piece
        with _readable_parquet():
            batch = next(batches, None)
            if batch is None:
                return
            piece = _batch_csv(batch, names)


def _header(names: list[str]) -> bytes:
    return (",".join('"' + name.replace('"', '""') + '"' for name in names) + "\n").encode()


@contextmanager
def _readable_parquet() -> Iterator[None]:
    """Say in our words what pyarrow says about a damaged file."""
    import pyarrow as pa

    try:
        yield
    except SmartMLError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        if "crypt" in str(error).lower():
            raise InvalidTable("The Parquet file is encrypted.", hint="Write it without encryption.") from error
        raise InvalidTable("The Parquet file is damaged and cannot be read.", hint=_AGAIN) from error


def _open(file: BinaryIO, *, read_dictionary: list[str] | None = None) -> "pq.ParquetFile":
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = size_of(file)
    file.seek(max(size - len(_MAGIC), 0))
    end = file.read(len(_MAGIC))
    file.seek(0)
    begin = file.read(len(_MAGIC))
    if end == _MAGIC_ENCRYPTED:
        raise InvalidTable("The Parquet file is encrypted.", hint="Write it without encryption.")
    if end != _MAGIC or size < 3 * len(_MAGIC):
        raise InvalidTable("The Parquet file ends too early: a part of it is missing.", hint=_AGAIN)
    if begin != _MAGIC:
        raise InvalidTable("This file is no Parquet file.", hint=_AGAIN)
    source = pa.PythonFile(GuardedFile(file), mode="r")
    # Buffered, a column is read page by page and not whole.
    return pq.ParquetFile(source, read_dictionary=read_dictionary, buffer_size=MIB, pre_buffer=False)


def _checked(parquet: "pq.ParquetFile", packed: int, limits: Limits) -> None:
    """Refuse what cannot be read or unfolds too far, by what the file says of itself."""
    facts = parquet.metadata
    if not parquet.schema_arrow.names:
        raise InvalidTable("The Parquet file has no columns.", hint=_AGAIN)
    groups = [facts.row_group(index) for index in range(facts.num_row_groups)]
    declared = sum(group.total_byte_size for group in groups)
    refuse_unfolding(Limits(max_output_bytes=2**63, max_ratio=limits.max_ratio), packed=packed, unpacked=declared)
    # Every cell is a byte of CSV at the least: its comma or line end.
    least = facts.num_rows * len(parquet.schema_arrow.names)
    if least > limits.max_output_bytes:
        raise TooLarge(
            f"As CSV, this table is larger than the limit of {readable(limits.max_output_bytes)}.",
            hint="Upload a part of the table, or ask the operator to raise the limit.",
        )


def _batches(file: BinaryIO, parquet: "pq.ParquetFile") -> Iterator["pa.RecordBatch"]:
    """The rows, so many at a time that they stay small."""
    usual = max(64, min(_BATCH_ROWS, _BATCH_CELLS // len(parquet.schema_arrow.names)))
    lengths = _LongestTexts(file, parquet)
    for group in range(parquet.metadata.num_row_groups):
        rows = max(1, min(usual, _BATCH_BYTES // max(lengths.of_row(group), 1)))
        yield from parquet.iter_batches(batch_size=rows, row_groups=[group], use_threads=False)


class _LongestTexts:
    """How long the texts of one row can be that a group of rows keeps in its dictionaries.

    A dictionary holds a long text once and a column repeats it by number, so a small file may unfold to any size in
    memory. The dictionaries are read first, without being unfolded.
    """

    def __init__(self, file: BinaryIO, parquet: "pq.ParquetFile") -> None:
        import pyarrow as pa

        fields = parquet.schema_arrow
        self._texts = [field.name for field in fields if pa.types.is_string(field.type)]
        self._metadata = parquet.metadata
        self._parquet = _open(file, read_dictionary=self._texts)

    def of_row(self, group: int) -> int:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._metadata.row_group(group).total_byte_size * _BATCH_ROWS <= _BATCH_BYTES or not self._texts:
            return 0
        batches = self._parquet.iter_batches(
            batch_size=1, row_groups=[group], columns=self._texts, use_threads=False
        )
        dictionaries = [
            column.dictionary
            for column in next(batches, pa.record_batch([])).columns
            if pa.types.is_dictionary(column.type)
        ]
        return sum(pc.max(pc.binary_length(words)).as_py() or 0 for words in dictionaries)


def _batch_csv(batch: "pa.RecordBatch", names: list[str]) -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    columns = [_plain(column, name) for column, name in zip(batch.columns, names, strict=True)]
    out = io.BytesIO()
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    csv.write_csv(pa.RecordBatch.from_arrays(columns, names=names), out, options)
    return out.getvalue()


def _plain(column: "pa.Array", name: str) -> "pa.Array":
    """A column of a type that is written as it should be read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        is_uuid = kind.extension_name == "arrow.uuid"
        return _each(column, str) if is_uuid else _plain(column.storage, name)
    if types.is_dictionary(kind):
        return _plain(column.dictionary_decode(), name)
    if types.is_floating(kind):
        numbers = column.cast(pa.float32()) if types.is_float16(kind) else column
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, numbers.type), numbers)
    if types.is_decimal(kind):
        return _each(column, lambda value: f"{value:f}")
    if types.is_timestamp(kind):
        return _moments(column)
    if types.is_duration(kind):
        return _each(column.cast(pa.duration("us"), safe=False), lambda value: f"{value.total_seconds():.15g}")
    if types.is_nested(kind):
        return _each(column, lambda value: json.dumps(value, default=str, ensure_ascii=False))
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return _decoded(column, name)
    if types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind):
        return column
    return column.cast(pa.string())


def _each(column: "pa.Array", as_text: Callable[[Any], str]) -> "pa.Array":
    import pyarrow as pa

    return pa.array([None if value is None else as_text(value) for value in column.to_pylist()], pa.string())


def _moments(column: "pa.Array") -> "pa.Array":
    """Whole seconds where nothing is lost, else microseconds, else what there is; the clock of a zone is UTC's."""
    import pyarrow as pa

    zone = "UTC" if column.type.tz else None
    for unit in ("s", "us"):
        try:
            return column.cast(pa.timestamp(unit, zone)).cast(pa.string())
        except pa.ArrowInvalid:
            continue
    return column.cast(pa.timestamp(column.type.unit, zone)).cast(pa.string())


def _decoded(column: "pa.Array", name: str) -> "pa.Array":
    import pyarrow as pa

    try:
        return _each(column, lambda value: value.decode())
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise InvalidTable(
            f"The column “{name[:100]}” of the Parquet file holds binary data, which no table of texts can hold.",
            hint="Leave that column out and write the file again.",
        ) from error
