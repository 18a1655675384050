"""Notices changed source files, for the parts that do not reload by themselves."""

from pathlib import Path

_PACKAGES = ("accounts", "console", "datasets", "ml", "models_app", "smartml", "storage")


def source_stamps(root: Path) -> dict[Path, int]:
    """The modification time of every Python file of the project."""
    stamps = {}
    for package in _PACKAGES:
        for path in (root / package).rglob("*.py"):
            try:
                stamps[path] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # an editor replaces files by renaming
    return stamps


class SourceWatch:
    """Compares the newest modification times of the project's Python files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._last = source_stamps(root)

    def changed(self) -> bool:
        """Whether a file was changed, added or removed since the last call."""
        now = source_stamps(self._root)
        changed, self._last = now != self._last, now
        return changed
