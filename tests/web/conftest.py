"""What takes long to make, once for all tests of the pages and of the API."""

from pathlib import Path

import pytest

from tests.real_model import make_archive


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of a real model; see ``tests.real_model``."""
    return make_archive(tmp_path_factory.mktemp("bundle"))
