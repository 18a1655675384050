"""What happens to the bytes of a file as they arrive, by what the file is packed in."""

from collections.abc import Iterator
from typing import Final

from datasets import packed
from datasets.records import Dataset
from datasets.scans import TableScan
from ml.containers import ContainerKind, GzipReader, kind_of
from storage.blobs import BlobWriter, Stored, get_blobs

# Enough to tell an archive from a workbook.
_HEAD_BYTES: Final = 16 * 2**10


class Intake:
    """A table is scanned and written to the dataset's blob; a gzip file is unpacked on the way; what has to be
    searched (an archive, a workbook) is put aside as it is, in a derived blob."""

    def __init__(self, *, dataset: Dataset, writer: BlobWriter, scan: TableScan, arrived_as: str) -> None:
        self._dataset = dataset
        self._file_name = arrived_as
        self._writer = writer
        self._scan = scan
        self._head = b""
        self._kind: ContainerKind | None = None
        self._gzip: GzipReader | None = None

    @property
    def is_packed(self) -> bool:
        """Whether the file was put aside, for a table to be taken out of it."""
        return self._kind in packed.SOURCE_KINDS

    @property
    def may_be_visible(self) -> bool:
        return self._writer.may_be_visible

    @property
    def may_appear(self) -> bool:
        return self._writer.may_appear

    def write(self, data: bytes) -> None:
        if self._kind is None:
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return
            data = self._begin()
        self._take(data)

    def finish(self) -> None:
        """The last byte has come. Raises InvalidTable for a gzip file that ends too early."""
        if self._kind is None:
            self._take(self._begin())
        if self._gzip is not None:
            self._gzip.finish()

    def commit(self) -> Stored:
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()

    def _begin(self) -> bytes:
        data, self._head = self._head, b""
        self._kind = kind_of(data, self._file_name)
        if self._kind is ContainerKind.GZIP:
            self._gzip = GzipReader(packed.limits())
        elif self.is_packed:
            self._writer.abort()
            self._writer = get_blobs().open_derived_writer(
                user_id=self._dataset.user_id,
                dataset_id=self._dataset.id,
                name=packed.source_name(self._kind),
            )
        return data

    def _take(self, data: bytes) -> None:
        for piece in self._unpacked(data):
            if not self.is_packed:
                self._scan.feed(piece)
            self._writer.write(piece)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        if self._gzip is None:
            yield data
        else:
            yield from self._gzip.pieces(data)
