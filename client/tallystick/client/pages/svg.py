"""Drawings as parts of a page: matplotlib's SVG, with the colours of the page's style and without anything from outside it."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

INK, QUIET, PAPER = "ink", "quiet", "paper"
COLOURS = (INK, QUIET, PAPER, "accent", "pale", "red", "orange", "yellow", "green", "none")
"""Names of the style's custom properties."""

WIDTH = 4.5
"""Inches, of 72 units each: a chart fills a telephone's screen, so that its letters are as large as those around it."""
_SETTINGS: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tallystick",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.bottom": False,
}
_OWN = frozenset(("axes", "figure", "font", "lines", "mathtext", "patch", "path", "savefig", "svg", "text", "xtick", "ytick"))
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_STAND_IN = re.compile("#0100([0-9a-f]{2})", re.IGNORECASE)
_FAMILY = re.compile(r"font-family: [^;]*;?\s*")


def settings(mpl: Any) -> dict[str, Any]:
    """Over matplotlib's own: what somebody has set for other drawings says nothing of these."""
    own = {name: value for name, value in mpl.rcParamsDefault.items() if name.partition(".")[0] in _OWN}
    return {**own, **_SETTINGS}


def stand_in(colour: str) -> str:
    """A colour that nothing else has, in the place of a name that matplotlib would not know."""
    return f"#0100{COLOURS.index(colour):02x}"


def _named(style: str) -> str:
    style = _STAND_IN.sub(lambda match: f"var(--{COLOURS[int(match[1], 16)]})", style)
    return _FAMILY.sub("", style)


def svg_of(drawing: Any, name: str, title: str, description: str, words: Mapping[str, str] | None = None) -> str:
    """The SVG as an element of an HTML page: it says in words what it shows, and refers to nothing outside itself. `words` are put
    in the place of the texts that have these ids."""
    written = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    drawing.savefig(written, format="svg", metadata=metadata, transparent=True)
    root = ElementTree.fromstring(written.getvalue())  # noqa: S314 - written here
    for parent in root.iter():
        for child in list(parent):
            # Its style would hold for the whole page; in the metadata are addresses.
            if child.tag in (f"{_SVG}style", f"{_SVG}metadata"):
                parent.remove(child)
    for element in root.iter():
        if (word := (words or {}).get(element.attrib.get("id", ""))) is not None:
            _say(element, word)
    for element in root.iter():
        _adapt(element, f"{name}-")
    view = root.attrib["viewBox"]
    root.text = None
    root.attrib.clear()
    labels = {"aria-labelledby": f"{name}-title", "aria-describedby": f"{name}-desc"}
    root.attrib.update({"viewBox": view, "class": "chart", "role": "img", **labels})
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        told = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        told.text = text
        root.insert(place, told)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _say(group: Any, words: str) -> None:
    """Puts words into the one text of a group."""
    (text,) = group.iter(f"{_SVG}text")
    text.text = words


def _adapt(element: Any, prefix: str) -> None:
    """Names as HTML has them, without namespaces; ids that are the page's only ones."""
    element.tag = element.tag.removeprefix(_SVG)
    if link := element.attrib.pop(_LINK, None):
        element.set("href", link)
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, prefix + value)
        elif key == "style":
            element.set(key, _named(value))
        else:
            element.set(key, re.sub(r"^#|(?<=url\()#", f"#{prefix}", value))
