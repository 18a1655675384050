"""What scripts/vendor.py puts into static/vendor."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
spec = importlib.util.spec_from_file_location("vendor", ROOT / "scripts" / "vendor.py")
vendor = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vendor)


def test_the_files_name_nothing_that_is_not_there():
    for name, content in vendor.vendor_files().items():
        assert b"sourceMappingURL" not in content, name
        assert not re.search(rb"url\(['\"]?(https?:)?//", content), name


def test_every_icon_that_a_template_uses_is_in_the_sprite():
    used = set()
    for template in (ROOT / "templates").rglob("*.html"):
        used |= set(re.findall(r"""(?:\{%\s*icon\s+|icon_name=)["']([a-z0-9-]+)["']""", template.read_text()))
    in_sprite = set(re.findall(r'<symbol id="([^"]+)"', vendor.sprite()))
    assert used - in_sprite == set()
    assert in_sprite == set(vendor.ICONS)


def test_plotlys_rules_come_as_a_style_sheet():
    css = vendor.vendor_files()["plotly.css"].decode()
    assert re.search(r"^\.js-plotly-plot \.plotly \.main-svg\{position:absolute;", css, re.MULTILINE)
    assert css.count("{") == css.count("}") == css.count("\n") > 50
    assert not re.search(r"\b[XY]\b(?!\()", re.sub(r"\{[^}]*\}", "", css))
    with pytest.raises(ValueError, match="not found"):
        vendor.plotly_css(b"another version")
