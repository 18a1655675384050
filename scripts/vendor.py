"""Copy what the pages use from node_modules into static/vendor and build the icon sprite.

Run by ``make`` after the npm packages are installed; the result is not kept in git. An icon that a template
uses must be named in ``ICONS``.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
TARGET = ROOT / "static" / "vendor"

FILES = {
    "tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "tabler.min.js": "@tabler/core/dist/js/tabler.min.js",
    # The bundle for charts with two axes: a third of the whole, and without the parts that make code from text.
    "plotly.min.js": "plotly.js-cartesian-dist-min/plotly-cartesian.min.js",
}
# Names from @tabler/icons, outline style.
ICONS = """
    alert-circle alert-triangle arrow-left arrow-right arrows-sort ban bell box brain calendar chart-bar chart-dots
    chart-line check chevron-down chevron-left chevron-right circle-check circle-x clock cloud-off cloud-upload
    columns copy cpu cube dashboard database database-import database-off dots dots-vertical download edit eye
    file-alert file-download file-spreadsheet file-text files filter flag folder gauge help-circle history home
    hourglass inbox info-circle key layout-dashboard link list list-check list-details loader loader-2 lock
    login logout mail menu-2 mood-empty moon password pencil player-play player-stop plus progress refresh robot
    rocket ruler search server server-off settings shield-check sort-ascending sort-descending sparkles
    square-plus stack-2 sun table table-off tag target target-arrow trash trophy upload user user-circle
    user-plus users versions wand x zoom-question
""".split()  # noqa: SIM905 -- a list would take a line for each
# Plotly adds its rules to the page from its script, which the Content-Security-Policy forbids. There they are an
# object whose keys have X for a plot and Y for its notes.
PLOTLY_RULES = re.compile(rb'=\{("X,X div":.*?)\};for\(', re.DOTALL)
PLOTLY_SELECTORS = {"X": ".js-plotly-plot .plotly", "Y": ".plotly-notifier"}
SCRIPT_STRING = r"""(?:"[^"]*"|'[^']*')"""
# Source maps are not copied, and the static files storage refuses a file that names an absent one.
SOURCE_MAP = re.compile(rb"(/\*|//)# sourceMappingURL=\S+?\.map\s*(\*/)?")


def vendor_files() -> dict[str, bytes]:
    """Every file of static/vendor by name.

    :raises FileNotFoundError: a package is not installed, or an icon of that name does not exist.
    """
    files = {name: SOURCE_MAP.sub(b"", (MODULES / source).read_bytes()) for name, source in FILES.items()}
    files["plotly.css"] = plotly_css(files["plotly.min.js"]).encode()
    files["icons.svg"] = sprite().encode()
    return files


def plotly_css(script: bytes) -> str:
    """The style sheet that Plotly's script would add.

    :raises ValueError: this version of Plotly keeps it elsewhere.
    """
    found = PLOTLY_RULES.search(script)
    if found is None:
        raise ValueError("The rules were not found in Plotly's script.")
    rules = re.findall(rf"({SCRIPT_STRING}|[XY]):({SCRIPT_STRING})", found[1].decode())
    return "".join(
        f"{_plotly_selector(selector[1:-1] if len(selector) > 1 else selector)}{{{body[1:-1]}}}\n"
        for selector, body in rules
    )


def _plotly_selector(selector: str) -> str:
    return re.sub(r"\b[XY]\b", lambda letter: PLOTLY_SELECTORS[letter[0]], selector)


def sprite() -> str:
    """One SVG file with a ``<symbol>`` for each icon, whose id is the icon's name."""
    parts = ['<svg xmlns="http://www.w3.org/2000/svg">']
    for name in sorted(ICONS):
        svg = (MODULES / "@tabler/icons/icons/outline" / f"{name}.svg").read_text()
        body = " ".join(svg[svg.index(">") + 1 : svg.rindex("</svg>")].split())
        parts.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
            f'stroke-linecap="round" stroke-linejoin="round">{body}</symbol>'
        )
    parts.append("</svg>\n")
    return "\n".join(parts)


def main() -> int:
    try:
        files = vendor_files()
    except FileNotFoundError as error:
        print(f"{error.filename} is not there: run `make` to install the npm packages.", file=sys.stderr)
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    for old in TARGET.iterdir():
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        path = TARGET / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
