"""What happens to files in a form: nothing, unless the view takes them itself."""

from django.core.files.uploadhandler import FileUploadHandler, StopUpload


class RefuseFiles(FileUploadHandler):
    """Stops reading at the first file.

    Django's own handlers would keep it in memory or spool it onto the local disk, for any page and any visitor,
    before the view is asked. The fields before the file are read as usual.
    """

    def new_file(self, *args: object, **kwargs: object) -> None:
        raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        raise StopUpload(connection_reset=True)

    def file_complete(self, file_size: int) -> None:
        return None
