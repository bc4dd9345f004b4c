"""Charts of the page: each is figures first, which its table shows too, and then an SVG that stands in the page's text.

matplotlib draws them. Its colours are put in as names, which the page's style resolves: by day, by night and on paper.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tallystick.client.pages.extra import matplotlib_module

_INK, _QUIET, _PAPER = "ink", "quiet", "paper"
COLOURS = (_INK, _QUIET, _PAPER, "accent", "pale", "red", "orange", "yellow", "green", "none")
"""Names of the style's custom properties."""

_WIDTH = 4.5
"""Inches, of 72 units each: a chart fills a telephone's screen, so that its letters are as large as those around it."""
_BAR, _ROW = 0.27, 0.3
_MARGIN = 0.15
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


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, of as many parts as the chart has measures."""

    label: str
    values: tuple[int, ...]
    colours: tuple[str, ...]

    @property
    def total(self) -> int:
        """The whole bar."""
        return sum(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Horizontal bars."""

    name: str
    """Unique within the page, as the beginning of ids."""
    title: str
    kind: str
    """What each bar is one of."""
    measures: tuple[str, ...]
    bars: Sequence[Bar]

    @property
    def total(self) -> int:
        """Of all bars."""
        return sum(bar.total for bar in self.bars)

    @property
    def description(self) -> str:
        """What a reader who does not see the chart should know: all of it."""
        return f"Bars: {'; '.join(f'{bar.label} {self._told(bar)}' for bar in self.bars)}."

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """The measures with their colours; none where there is one alone."""
        return list(zip(self.measures, self.bars[0].colours, strict=True)) if len(self.measures) > 1 else []

    def _told(self, bar: Bar) -> str:
        if len(self.measures) == 1:
            return f"{bar.total:,}"
        return ", ".join(f"{value:,} {measure}" for measure, value in zip(self.measures, bar.values, strict=True))

    def svg(self) -> str:
        """The chart. Raises FileInvalid without the extra."""
        mpl = matplotlib_module()
        with mpl.rc_context(_settings(mpl)):
            drawing = mpl.figure.Figure(figsize=(_WIDTH, _MARGIN + _ROW * len(self.bars)), layout="constrained")
            axes = drawing.add_subplot()
            longest = max((bar.total for bar in self.bars), default=0) or 1
            for row, bar in enumerate(self.bars):
                begin = 0
                for value, colour in zip(bar.values, bar.colours, strict=True):
                    axes.barh(row, value, left=begin, color=_stand_in(colour), height=_BAR / _ROW * 0.8)
                    begin += value
                axes.text(bar.total + longest * 0.015, row, f"{bar.total:,}", va="center", color=_stand_in(_INK))
            axes.set_yticks(range(len(self.bars)), [bar.label for bar in self.bars], color=_stand_in(_INK))
            axes.set_ylim(len(self.bars) - 0.5, -0.5)
            # Room for the figure behind the longest bar.
            axes.set_xlim(0, longest * 1.16)
            axes.set_xticks([])
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_color(_stand_in(_QUIET))
            return _svg(drawing, self.name, self.title, self.description)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Counts of what went from one state into another."""

    name: str
    title: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    cells: Sequence[Sequence[int]]
    """By `before`, then by `after`."""

    @property
    def total(self) -> int:
        """Of all cells."""
        return sum(map(sum, self.cells))

    @property
    def description(self) -> str:
        """What a reader who does not see the chart should know: every cell that has something in it."""
        told = [
            f"{before} to {after}: {count:,}"
            for before, row in zip(self.before, self.cells, strict=True)
            for after, count in zip(self.after, row, strict=True)
            if count
        ]
        return f"A square of months overdue, from before to after. {'; '.join(told)}."

    def svg(self) -> str:
        """The chart. Raises FileInvalid without the extra."""
        mpl = matplotlib_module()
        with mpl.rc_context({**_settings(mpl), "axes.spines.left": False}):
            drawing = mpl.figure.Figure(figsize=(_WIDTH, 0.7 + 0.34 * len(self.before)), layout="constrained")
            axes = drawing.add_subplot()
            largest = max(map(max, self.cells)) or 1
            for row, counts in enumerate(self.cells):
                for column, count in enumerate(counts):
                    # Never as dark as the letters on it.
                    share = 0.12 + 0.5 * (count / largest) ** 0.5
                    colour = _stand_in("accent" if count else "pale")
                    box = (column - 0.46, row - 0.46)
                    patch = mpl.patches.Rectangle(box, 0.92, 0.92, facecolor=colour, alpha=share if count else 1, linewidth=0)
                    axes.add_patch(patch)
                    if count:
                        axes.text(column, row, f"{count:,}", ha="center", va="center", color=_stand_in(_INK), fontsize=9)
            axes.set_xlim(-0.5, len(self.after) - 0.5)
            axes.set_ylim(len(self.before) - 0.5, -0.5)
            axes.set_xticks(range(len(self.after)), self.after, color=_stand_in(_INK))
            axes.set_yticks(range(len(self.before)), self.before, color=_stand_in(_INK))
            axes.tick_params(length=0)
            axes.set_xlabel("months overdue after", color=_stand_in(_INK))
            axes.set_ylabel("months overdue before", color=_stand_in(_INK))
            return _svg(drawing, self.name, self.title, self.description)


def _settings(mpl: Any) -> dict[str, Any]:
    """Over matplotlib's own: what somebody has set for other drawings says nothing of these."""
    own = {name: value for name, value in mpl.rcParamsDefault.items() if name.partition(".")[0] in _OWN}
    return {**own, **_SETTINGS}


def _stand_in(colour: str) -> str:
    """A colour that nothing else has, in the place of a name that matplotlib would not know."""
    return f"#0100{COLOURS.index(colour):02x}"


def _named(style: str) -> str:
    style = _STAND_IN.sub(lambda match: f"var(--{COLOURS[int(match[1], 16)]})", style)
    return _FAMILY.sub("", style)


def _svg(drawing: Any, name: str, title: str, description: str) -> str:
    """The SVG as an element of an HTML page: it says in words what it shows, and refers to nothing outside itself."""
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
