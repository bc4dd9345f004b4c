"""Charts of shares: bars, lines and squares, with words in any alphabet: the reader has the letters, this machine may not."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tallystick.client.pages.extra import matplotlib_module
from tallystick.client.pages.svg import INK, QUIET, WIDTH, settings, stand_in, svg_of

_ROW = 0.3
WIDE = 7.5
"""Inches, of a chart that stands above its table."""
_DASHES = ("solid", "dashed", "dashdot", "dotted")
_TICKS = 6
_LETTER, _GAP = 6.2, 12.0
"""Points: of a letter of the widest fonts that a page may find, and between two labels."""
"""Labels beneath a line chart at the most."""


class Chart(Protocol):
    """What stands beside or above its table."""

    @property
    def title(self) -> str:
        """Its heading."""

    @property
    def description(self) -> str:
        """What a reader who does not see it should know."""

    def svg(self) -> str:
        """The chart. Raises FileInvalid without the extra."""


class _Words:
    """Labels as matplotlib lays them out, and as they are: a letter as wide as its place, since no font here may have it."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def put(self, text: Any, words: str) -> None:
        """Gives a text of the drawing its words."""
        name = f"word-{len(self._words)}"
        self._words[name] = words
        text.set_gid(name)
        text.set_text(_as_wide(words))

    def svg(self, drawing: Any, name: str, title: str, description: str) -> str:
        """The drawing with its words."""
        return svg_of(drawing, name, title, description, self._words)


def _as_wide(words: str) -> str:
    return "".join("\N{EM DASH}" if unicodedata.east_asian_width(each) in "WF" else each for each in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBars:
    """Horizontal bars, each with what it says behind it."""

    name: str
    title: str
    bars: Sequence[tuple[str, float, str]]
    """Label, length, and what is written behind."""
    colour: str = "accent"
    width: float = WIDTH

    @property
    def description(self) -> str:
        """Every bar."""
        return "; ".join(f"{label}: {told}" for label, _, told in self.bars)

    def svg(self) -> str:
        """The chart. Raises FileInvalid without the extra."""
        mpl = matplotlib_module()
        words = _Words()
        with mpl.rc_context(settings(mpl)):
            drawing = mpl.figure.Figure(figsize=(self.width, 0.15 + _ROW * len(self.bars)), layout="constrained")
            axes = drawing.add_subplot()
            longest = max((length for _, length, _ in self.bars), default=0) or 1
            widest = max((len(_as_wide(told)) for _, _, told in self.bars), default=0)
            for row, (_, length, told) in enumerate(self.bars):
                axes.barh(row, length, color=stand_in(self.colour), height=0.72)
                words.put(axes.text(length + longest * 0.015, row, "", va="center", color=stand_in(INK)), told)
            axes.set_yticks(range(len(self.bars)), [_as_wide(label) for label, _, _ in self.bars], color=stand_in(INK))
            for text, (label, _, _) in zip(axes.get_yticklabels(), self.bars, strict=True):
                words.put(text, label)
            axes.set_ylim(len(self.bars) - 0.5, -0.5)
            axes.set_xlim(0, longest * (1.04 + 0.13 / self.width * widest))
            axes.set_xticks([])
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_color(stand_in(QUIET))
            return words.svg(drawing, self.name, self.title, self.description)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart; None is a place without a figure."""

    label: str
    values: Sequence[float | None]
    colour: str
    dash: str = "solid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLines:
    """Shares over time."""

    name: str
    title: str
    places: Sequence[str]
    """What is beneath, from left to right."""
    beneath: str
    """What the places are."""
    lines: Sequence[Line]
    width: float = WIDTH
    from_zero: bool = True
    """Whether the scale begins at 0; otherwise somewhat below the lowest share, and ends at 1."""

    @property
    def legend(self) -> Sequence[tuple[str, str, str]]:
        """Label, colour and dash of each line."""
        return [(line.label, line.colour, line.dash) for line in self.lines]

    @property
    def description(self) -> str:
        """Where each line begins, is highest, and ends."""
        told = []
        for line in self.lines:
            known = [(value, place) for value, place in zip(line.values, self.places, strict=True) if value is not None]
            if known:
                points = dict.fromkeys((known[0], max(known), known[-1]))
                told.append(f"{line.label}: {', '.join(f'{place} {percent(value)}' for value, place in points)}")
        return "; ".join(told)

    @property
    def _most_ticks(self) -> int:
        """How many places can be named beneath without running into each other: in points, of four fifths of the width."""
        each = max((len(_as_wide(place)) for place in self.places), default=0) * _LETTER + _GAP
        return min(_TICKS, max(2, int(self.width * 72 * 0.8 // each)))

    def svg(self) -> str:
        """The chart. Raises FileInvalid without the extra."""
        mpl = matplotlib_module()
        words = _Words()
        with mpl.rc_context(settings(mpl)):
            drawing = mpl.figure.Figure(figsize=(self.width, 2.6), layout="constrained")
            axes = drawing.add_subplot()
            highest = max((value for line in self.lines for value in line.values if value is not None), default=0)
            for line in self.lines:
                values = [float("nan") if value is None else value for value in line.values]
                marker = "o" if sum(value is not None for value in line.values) < 3 else ""
                style = {"linestyle": line.dash, "marker": marker, "markersize": 4, "linewidth": 1.8}
                axes.plot(range(len(values)), values, color=stand_in(line.colour), **style)
            if self.from_zero:
                axes.set_ylim(0, highest * 1.08 or 0.01)
            else:
                lowest = min((value for line in self.lines for value in line.values if value is not None), default=0)
                axes.set_ylim(max(0, lowest - max(0.02, (1 - lowest) * 0.2)), 1.002)
            room = max(0.5, len(self.places) * 0.06)
            axes.set_xlim(-room, max(len(self.places) - 1 + room, 0.5))
            step = max(1, -(-len(self.places) // self._most_ticks))
            axes.set_xticks(range(0, len(self.places), step), map(_as_wide, self.places[::step]), color=stand_in(INK))
            for text, place in zip(axes.get_xticklabels(), self.places[::step], strict=True):
                words.put(text, place)
            low, high = axes.get_ylim()
            ticks = [tick for tick in axes.get_yticks() if low <= tick <= min(high, 1)]
            axes.set_yticks(ticks, [percent(value) for value in ticks], color=stand_in(INK))
            axes.grid(axis="y", color=stand_in("pale"), linewidth=1)
            axes.set_axisbelow(True)
            axes.tick_params(length=0)
            axes.spines["left"].set_visible(False)
            axes.axhline(axes.get_ylim()[0], color=stand_in(QUIET), linewidth=1)
            words.put(axes.set_xlabel(" ", color=stand_in(INK)), self.beneath)
            return words.svg(drawing, self.name, self.title, self.description)


def dash_of(place: int) -> str:
    """Lines that are told apart without their colours."""
    return _DASHES[place % len(_DASHES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSquare:
    """Shares by two states: rows from before, columns after."""

    name: str
    title: str
    before: Sequence[str]
    after: Sequence[str]
    axes: tuple[str, str]
    """What rows and columns are."""
    cells: Sequence[Sequence[float | None]]
    """By row; None where its row has nothing."""

    @property
    def description(self) -> str:
        """Every cell that has something in it."""
        told = [
            f"{before} → {after}: {percent(share)}"
            for before, row in zip(self.before, self.cells, strict=True)
            for after, share in zip(self.after, row, strict=True)
            if share
        ]
        return "; ".join(told)

    def svg(self) -> str:
        """The chart. Raises FileInvalid without the extra."""
        mpl = matplotlib_module()
        words = _Words()
        with mpl.rc_context({**settings(mpl), "axes.spines.left": False}):
            column = 0.55 if max(len(_as_wide(label)) for label in self.after) <= 7 else 0.75
            width = max(WIDTH, column * len(self.after) + 1.5)
            drawing = mpl.figure.Figure(figsize=(width, 0.9 + 0.34 * len(self.before)), layout="constrained")
            axes = drawing.add_subplot()
            for row, shares in enumerate(self.cells):
                for column, share in enumerate(shares):
                    self._cell(mpl, axes, column, row, share)
            axes.set_xlim(-0.5, len(self.after) - 0.5)
            axes.set_ylim(len(self.before) - 0.5, -0.5)
            axes.xaxis.tick_top()
            axes.xaxis.set_label_position("top")
            for axis, labels in ((axes.xaxis, self.after), (axes.yaxis, self.before)):
                axis.set_ticks(range(len(labels)), [_as_wide(label) for label in labels], color=stand_in(INK))
                for text, label in zip(axis.get_ticklabels(), labels, strict=True):
                    words.put(text, label)
            axes.tick_params(length=0)
            words.put(axes.set_ylabel(_as_wide(self.axes[0]), color=stand_in(INK)), self.axes[0])
            words.put(axes.set_xlabel(_as_wide(self.axes[1]), color=stand_in(INK)), self.axes[1])
            return words.svg(drawing, self.name, self.title, self.description)

    @staticmethod
    def _cell(mpl: Any, axes: Any, column: int, row: int, share: float | None) -> None:
        colour = stand_in("accent" if share else "pale")
        # Never as dark as the letters on it.
        alpha = 0.12 + 0.5 * share**0.5 if share else 1
        box = (column - 0.46, row - 0.46)
        axes.add_patch(mpl.patches.Rectangle(box, 0.92, 0.92, facecolor=colour, alpha=alpha, linewidth=0))
        if share:
            axes.text(column, row, percent(share), ha="center", va="center", color=stand_in(INK), fontsize=8.5)


def percent(share: float) -> str:
    """As people read it: "12.3%"; what is not nothing is never "0.0%", and what is not all never "100.0%"."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"
