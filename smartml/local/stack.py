"""The two data services on their own: what tests and the ``automl`` command need, and ``runlocal`` builds upon."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smartml.local import parts
from smartml.local.machine import STACK_MARK, choose_port, stop_marked
from smartml.local.process import start_together, stop_in_reverse


@dataclass(frozen=True, slots=True, kw_only=True)
class DataServices:
    """Where the running services are."""

    mongodb_port: int
    azurite_port: int

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead to them; the credentials are blanked so that no real account is used."""
        return {
            "MONGODB_URI": parts.mongodb_uri(self.mongodb_port),
            "AZURE_STORAGE_ENABLED": "true",
            "AZURE_ACCOUNT_URL": parts.azurite_url(self.azurite_port),
            "AZURE_TENANT_ID": "",
            "AZURE_CLIENT_ID": "",
            "AZURE_CLIENT_SECRET": "",
            "AZURE_AUTHORITY": "",
        }


@contextmanager
def data_services(
    directory: Path, *, mongodb_port: int | None = None, azurite_port: int | None = None
) -> Iterator[DataServices]:
    """MongoDB and Azurite with their data in ``directory``, stopped on leaving whatever happens.

    What an earlier run on the same directory left behind (it was killed) is stopped first, so hold
    ``state.locked(directory)`` wherever another process may use the directory.

    :raises LocalStackError: a tool is missing, a port is taken, or a service does not become ready.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = directory.resolve()
    stop_marked({STACK_MARK: str(directory)})
    services = DataServices(
        mongodb_port=mongodb_port or choose_port("MONGODB_PORT"),
        azurite_port=azurite_port or choose_port("AZURITE_PORT"),
    )
    running = start_together(
        [
            parts.mongod(directory, port=services.mongodb_port),
            parts.azurite(directory, port=services.azurite_port),
        ],
        directory,
    )
    try:
        yield services
    finally:
        stop_in_reverse(running)
