"""The progress display of commands."""

import io

from smartml.terminal import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(text: str) -> list[str]:
    """What a terminal shows after ``text``: the only control sequence used is "to the start, erase"."""
    return [line.rpartition("\r\x1b[K")[2] for line in text.split("\n")]


def test_on_a_terminal_one_line_is_kept_up_to_date_below_the_others():
    output = Terminal()
    progress = Progress(output)
    progress.update("Uploading", 0.5, "(3 s)")
    assert screen(output.getvalue()) == ["[############............]  50% Uploading  (3 s)"]
    progress.say("stored")
    assert screen(output.getvalue()) == ["stored", "[############............]  50% Uploading  (3 s)"]
    progress.update("Fitting", 1.0)
    assert screen(output.getvalue()) == ["stored", "[########################] 100% Fitting"]
    progress.close()
    assert screen(output.getvalue()) == ["stored", ""]


def test_elsewhere_a_line_is_printed_when_the_text_changes():
    output = io.StringIO()
    progress = Progress(output)
    progress.update("Uploading", 0.1)
    progress.update("Uploading", 0.9, "(3 s)")
    progress.say("stored")
    progress.update("Uploading", 1.0)
    progress.update("Fitting", 0.2)
    progress.close()
    assert output.getvalue() == "Uploading\nstored\nFitting\n"
