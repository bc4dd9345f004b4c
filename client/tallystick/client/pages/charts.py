"""Charts of the page: each is figures first, which its table shows too, and then an SVG that stands in the page's text.

matplotlib draws them. Its colours are put in as names, which the page's style resolves: by day, by night and on paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick.client.pages.extra import matplotlib_module
from tallystick.client.pages.svg import INK, QUIET, WIDTH, settings, stand_in, svg_of

_BAR, _ROW = 0.27, 0.3
_MARGIN = 0.15


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
        with mpl.rc_context(settings(mpl)):
            drawing = mpl.figure.Figure(figsize=(WIDTH, _MARGIN + _ROW * len(self.bars)), layout="constrained")
            axes = drawing.add_subplot()
            longest = max((bar.total for bar in self.bars), default=0) or 1
            for row, bar in enumerate(self.bars):
                begin = 0
                for value, colour in zip(bar.values, bar.colours, strict=True):
                    axes.barh(row, value, left=begin, color=stand_in(colour), height=_BAR / _ROW * 0.8)
                    begin += value
                axes.text(bar.total + longest * 0.015, row, f"{bar.total:,}", va="center", color=stand_in(INK))
            axes.set_yticks(range(len(self.bars)), [bar.label for bar in self.bars], color=stand_in(INK))
            axes.set_ylim(len(self.bars) - 0.5, -0.5)
            # Room for the figure behind the longest bar.
            axes.set_xlim(0, longest * 1.16)
            axes.set_xticks([])
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_color(stand_in(QUIET))
            return svg_of(drawing, self.name, self.title, self.description)


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
        with mpl.rc_context({**settings(mpl), "axes.spines.left": False}):
            drawing = mpl.figure.Figure(figsize=(WIDTH, 0.7 + 0.34 * len(self.before)), layout="constrained")
            axes = drawing.add_subplot()
            largest = max(map(max, self.cells)) or 1
            for row, counts in enumerate(self.cells):
                for column, count in enumerate(counts):
                    # Never as dark as the letters on it.
                    share = 0.12 + 0.5 * (count / largest) ** 0.5
                    colour = stand_in("accent" if count else "pale")
                    box = (column - 0.46, row - 0.46)
                    patch = mpl.patches.Rectangle(box, 0.92, 0.92, facecolor=colour, alpha=share if count else 1, linewidth=0)
                    axes.add_patch(patch)
                    if count:
                        axes.text(column, row, f"{count:,}", ha="center", va="center", color=stand_in(INK), fontsize=9)
            axes.set_xlim(-0.5, len(self.after) - 0.5)
            axes.set_ylim(len(self.before) - 0.5, -0.5)
            axes.set_xticks(range(len(self.after)), self.after, color=stand_in(INK))
            axes.set_yticks(range(len(self.before)), self.before, color=stand_in(INK))
            axes.tick_params(length=0)
            axes.set_xlabel("months overdue after", color=stand_in(INK))
            axes.set_ylabel("months overdue before", color=stand_in(INK))
            return svg_of(drawing, self.name, self.title, self.description)
