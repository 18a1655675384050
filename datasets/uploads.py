"""Multipart bodies straight into storage: no file on the local disk, no body in memory."""

from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

from datasets.ingest import Ingest, begin_ingest
from datasets.records import Dataset
from smartml.errors import InvalidInput, SmartMLError

FIELD = "file"
KIB = 2**10


class IngestUploadHandler(FileUploadHandler):
    """Feeds the part named ``file`` into an :class:`Ingest` while Django parses the body.

    A failure stops the parsing and is kept for :meth:`finish`, so that the fields before the file, the CSRF token
    among them, are still judged first.
    """

    chunk_size = 256 * KIB

    def __init__(self, request: HttpRequest, *, user_id: str, dataset_id: str) -> None:
        super().__init__(request)
        self._user_id = user_id
        self._dataset_id = dataset_id
        self._ingest: Ingest | None = None
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
        if field_name != FIELD or self._ingest is not None:
            raise SkipFile
        try:
            self._ingest = begin_ingest(user_id=self._user_id, dataset_id=self._dataset_id, file_name=file_name)
        except SmartMLError as error:
            self._stop(error)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._ingest is not None
        try:
            self._ingest.write(raw_data)
        except SmartMLError as error:
            self._stop(error)

    def file_complete(self, file_size: int) -> None:
        # Called at the next boundary, so a body that broke off never gets here.
        self._complete = True

    def finish(self) -> Dataset:
        """Store what has been received, for its owner to look at; raises what went wrong on the way."""
        if self._failure is not None:
            raise self._failure
        if self._ingest is None:
            message = "Choose a file first."
            raise InvalidInput(message, fields={FIELD: message})
        if not self._complete:
            message = "The upload broke off before the end of the file, so nothing was stored."
            raise InvalidInput(message, fields={FIELD: message}, hint="Send the file again.")
        return self._ingest.stage()

    def abort(self) -> None:
        """Undo whatever has not been stored completely."""
        if self._ingest is not None:
            self._ingest.abort()

    def _stop(self, error: SmartMLError) -> None:
        self._failure = error
        # The rest of the body is of no use; reading a gigabyte to its end would only delay the answer.
        raise StopUpload(connection_reset=True)
