"""`.env.example` and the code name the same settings."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ_IN_CODE = re.compile(r"""\benv(?:\.\w+)?\(\s*["']([A-Z][A-Z0-9_]+)["']""")
LISTED = re.compile(r"^([A-Z][A-Z0-9_]+)=", re.MULTILINE)


def _settings_in_code() -> set[str]:
    source = (ROOT / "smartml" / "settings.py").read_text()
    return set(READ_IN_CODE.findall(source))


def test_every_setting_is_listed_once_and_every_listed_one_is_read():
    listed = LISTED.findall((ROOT / ".env.example").read_text())
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == _settings_in_code()


def test_the_readme_table_names_every_setting():
    readme = (ROOT / "README.md").read_text()
    missing = {name for name in _settings_in_code() if f"`{name}`" not in readme}
    assert not missing
