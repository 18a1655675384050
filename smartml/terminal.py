"""What a command prints while it works: one line kept up to date on a terminal, plain lines anywhere else."""

import shutil
from types import TracebackType
from typing import Protocol, Self

_BAR_WIDTH = 24


class Output(Protocol):
    """A text stream, or Django's wrapper of one."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...
    def isatty(self) -> bool: ...


class Progress:
    """Lines that stay, and below them one that changes.

    Where the output is not a terminal, the changing line is printed when its text changes, without the percentage.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._is_terminal = output.isatty()
        self._shown = ""

    def say(self, line: str = "") -> None:
        """A line that stays."""
        shown, self._shown = self._shown, ""
        self._erase(shown)
        self._output.write(line + "\n")
        if self._is_terminal:
            self._show(shown)
        else:
            self._shown = shown
        self._output.flush()

    def update(self, text: str, share: float | None = None, detail: str = "") -> None:
        """The changing line: what is going on, how far it is (0 to 1), and a detail such as the time."""
        if not self._is_terminal:
            if text != self._shown:
                self._output.write(text + "\n")
                self._output.flush()
                self._shown = text
            return
        line = text if share is None else f"{_bar(share)} {share:4.0%} {text}"
        line = f"{line}  {detail}".rstrip()[: shutil.get_terminal_size().columns - 1]
        if line != self._shown:
            self._erase(self._shown)
            self._show(line)
            self._output.flush()

    def close(self) -> None:
        """Take the changing line away."""
        if self._is_terminal:
            self._erase(self._shown)
            self._output.flush()
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _show(self, line: str) -> None:
        self._output.write(line)
        self._shown = line

    def _erase(self, line: str) -> None:
        if line and self._is_terminal:
            self._output.write("\r\x1b[K")


def _bar(share: float) -> str:
    filled = round(min(1.0, max(0.0, share)) * _BAR_WIDTH)
    return "[" + "#" * filled + "." * (_BAR_WIDTH - filled) + "]"
