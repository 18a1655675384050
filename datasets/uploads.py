"""Multipart bodies straight into storage: no file on the local disk, no body in memory."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

from datasets.ingest import Ingest, begin_ingest
from datasets.records import Dataset
from smartml.errors import InvalidInput, SmartMLError

FIELD = "file"
KIB = 2**10


class Sink(Protocol):
    """Where the bytes of a file go."""

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...


S = TypeVar("S", bound=Sink)


class StreamedUpload(FileUploadHandler, Generic[S]):
    """Feeds the part named ``file`` into what ``begin`` opens for a file's name, while Django parses the body.

    A failure stops the parsing and is kept for :meth:`received`, so that the fields before the file, the CSRF token
    among them, are still judged first.
    """

    chunk_size = 256 * KIB

    def __init__(self, request: HttpRequest, begin: Callable[[str], S]) -> None:
        super().__init__(request)
        self._begin = begin
        self._sink: S | None = None
        self._failure: SmartMLError | None = None
        self._complete = False

    def new_file(
        self,
        field_name: str,
        file_name: str,
        content_type: str,
        content_length: int | None,
        charset: str | None = None,
        content_type_extra: dict[str, bytes] | None = None,
    ) -> None:
        super().new_file(field_name, file_name, content_type, content_length, charset, content_type_extra)
        if field_name != FIELD or self._sink is not None:
            raise SkipFile
        try:
            self._sink = self._begin(file_name)
        except SmartMLError as error:
            self._stop(error)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._sink is not None
        try:
            self._sink.write(raw_data)
        except SmartMLError as error:
            self._stop(error)

    def file_complete(self, file_size: int) -> None:
        # Called at the next boundary, so a body that broke off never gets here.
        self._complete = True

    def received(self) -> S:
        """What has taken all of the file; raises what went wrong on the way."""
        if self._failure is not None:
            raise self._failure
        if self._sink is None:
            message = "Choose a file first."
            raise InvalidInput(message, fields={FIELD: message})
        if not self._complete:
            message = "The upload broke off before the end of the file, so nothing was stored."
            raise InvalidInput(message, fields={FIELD: message}, hint="Send the file again.")
        return self._sink

    def abort(self) -> None:
        """Undo whatever has not been stored completely."""
        if self._sink is not None:
            self._sink.abort()

    def _stop(self, error: SmartMLError) -> None:
        self._failure = error
        # The rest of the body is of no use; reading a gigabyte to its end would only delay the answer.
        raise StopUpload(connection_reset=True)


class IngestUploadHandler(StreamedUpload[Ingest]):
    """A file that becomes a dataset."""

    def __init__(self, request: HttpRequest, *, user_id: str, dataset_id: str) -> None:
        super().__init__(request, lambda name: begin_ingest(user_id=user_id, dataset_id=dataset_id, file_name=name))

    def finish(self) -> Dataset:
        """Store what has been received, for its owner to look at; raises what went wrong on the way."""
        return self.received().stage()
