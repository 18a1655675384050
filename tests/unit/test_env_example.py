"""`.env.example` and the code name the same settings."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ_IN_CODE = re.compile(r"""\benv(?:\.\w+)?\(\s*["']([A-Z][A-Z0-9_]+)["']""")
LISTED = re.compile(r"^([A-Z][A-Z0-9_]+)=", re.MULTILINE)


# The local stack reads a few before there are settings, and its ports by name.
READ_BY_LOCAL_STACK = re.compile(r"""\bos\.environ(?:\.get\(|\[)["']([A-Z][A-Z0-9_]+)["']|["']([A-Z]+_PORT)["']""")


def _settings_in_code() -> set[str]:
    source = (ROOT / "smartml" / "settings.py").read_text()
    names = set(READ_IN_CODE.findall(source))
    for path in (ROOT / "smartml" / "local").glob("*.py"):
        names |= {one or other for one, other in READ_BY_LOCAL_STACK.findall(path.read_text())}
    return names


def test_the_ports_of_the_local_stack_are_among_them():
    assert {"SECRET_KEY", "SMARTML_LOCAL_DIR", "WEB_PORT", "MONGODB_PORT", "AZURITE_PORT"} <= _settings_in_code()


def test_every_setting_is_listed_once_and_every_listed_one_is_read():
    listed = LISTED.findall((ROOT / ".env.example").read_text())
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == _settings_in_code()


def test_the_readme_table_names_every_setting():
    readme = (ROOT / "README.md").read_text()
    missing = {name for name in _settings_in_code() if f"`{name}`" not in readme}
    assert not missing
