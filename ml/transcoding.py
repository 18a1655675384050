"""Any encoding to UTF-8, chunk by chunk; bytes that are no text leave a mark that no text has."""

import codecs

# A lone surrogate, which no encoding gives. In UTF-8 it is three bytes that are no valid UTF-8.
_MARK = "\udcff"
BAD_BYTES = _MARK.encode("utf-8", "surrogatepass")
_MARKING = "smartml.mark"


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _MARK, error.end


codecs.register_error(_MARKING, _mark)


class Transcoder:
    """A byte order mark is dropped. ``marked``: so far some bytes were no text in the encoding; :data:`BAD_BYTES`
    stand in their place. ``taken`` bytes have become ``given`` bytes of UTF-8 so far; what is held back of a
    character is not counted."""

    def __init__(self, encoding: str, *, at_start: bool = True) -> None:
        """``at_start``: of the file, where alone a byte order mark is one."""
        self.marked = False
        self.taken = 0
        self.given = 0
        self._decoder = codecs.getincrementaldecoder(encoding)(_MARKING)
        self._is_utf8 = codecs.lookup(encoding).name == "utf-8"
        self._begun = not at_start
        self._clean = True  # the decoder holds no part of a character

    def convert(self, data: bytes, *, final: bool = False) -> bytes:
        self.taken += len(data)
        if self._is_utf8 and self._begun and self._clean and data.isascii():
            self.given += len(data)
            return data
        self.taken += len(self._decoder.getstate()[0])
        text = self._decoder.decode(data, final)
        held = len(self._decoder.getstate()[0])
        self.taken -= held
        self._clean = not held
        if not self._begun and text:
            self._begun = True
            text = text.removeprefix("\ufeff")
        # What the decoder holds back of a UTF-8 character belongs to the next chunk, so the text is encoded anew.
        if _MARK in text:
            self.marked = True
        encoded = text.encode("utf-8", "surrogatepass")
        self.given += len(encoded)
        return encoded


def decode_head(head: bytes, encoding: str, *, complete: bool) -> bytes:
    """The head as UTF-8, without a character that is cut at its end."""
    return Transcoder(encoding).convert(head, final=complete)
