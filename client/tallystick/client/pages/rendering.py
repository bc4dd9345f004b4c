"""The month's page as HTML: one file that needs nothing beside itself, has no script, and names no borrower."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from tallystick.client.files.texts import visible
from tallystick.client.pages.charts import Bar, BarChart, Matrix
from tallystick.client.pages.extra import jinja_module
from tallystick.client.pages.portfolio import CLASSES, NO_CLASS, CountedRow, KeptMessages, Portfolio, Standing
from tallystick.credit.codes import describe
from tallystick.credit.enums import TriggerType

_OVERDUE = (TriggerType.OVERDUE_BEGAN, TriggerType.OVERDUE_WORSENED, TriggerType.OVERDUE_CURED)
_MOST_MONTHS = 7
_MONTHS = (*map(str, range(_MOST_MONTHS)), f"{_MOST_MONTHS}+")
_TEMPLATE = "portfolio.html.jinja"


def render(portfolio: Portfolio) -> str:
    """The page. Raises FileInvalid without the extra."""
    page: str = environment().get_template(_TEMPLATE).render(_values(portfolio))
    return page


def environment() -> Any:
    """Where the pages' templates are. Raises FileInvalid without the extra."""
    jinja = jinja_module()
    environment = jinja.Environment(
        loader=jinja.FunctionLoader(lambda name: resources.files("tallystick.client.pages").joinpath(name).read_text("utf-8")),
        # What comes from a file is text, and never markup.
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["visible"] = visible
    # The charts are markup of this package's own, in which matplotlib has escaped what is text.
    environment.filters["svg"] = lambda chart: jinja.utils.markupsafe.Markup(chart.svg())
    return environment


def _values(portfolio: Portfolio) -> dict[str, Any]:
    rows = portfolio.rows
    messages = portfolio.messages
    accounts = messages.listed() if messages is not None else []
    return {
        "portfolio": portfolio,
        "digest": portfolio.digest,
        "month": f"{portfolio.digest.month:%B %Y}",
        "made": f"{portfolio.made.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "alerts": sum(each.row.alerts for each in rows),
        "urgent": sum(each.row.alerts for each in rows if each.class_name in CLASSES[:2]),
        "rows": [(describe(each.row.type), each) for each in rows],
        "by_class": _by_class(_classes(rows)) if rows else None,
        "by_trigger": _by_trigger(rows) if rows else None,
        "transitions": _transitions(rows),
        "kept": _kept(portfolio, messages),
        "accounts": accounts[: portfolio.limit],
        "unlisted": max(0, len(accounts) - portfolio.limit),
        "by_account": _by_account(portfolio, accounts) if accounts else None,
        "messages": messages,
        "book": portfolio.book,
        "NO_CLASS": NO_CLASS,
    }


def _classes(rows: Iterable[CountedRow]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in rows:
        counts[each.class_name] += each.row.alerts
    return counts


def _by_class(counts: Counter[str]) -> BarChart:
    bars = [Bar(name, (counts[name],), (_colour(name),)) for name in CLASSES]
    return BarChart(name="class", title="Alerts by class", kind="class", measures=("alerts",), bars=bars)


def _kept(portfolio: Portfolio, messages: KeptMessages | None) -> BarChart | None:
    """The classes of the messages: in the place of counts that the exchange does not give."""
    if messages is None or not messages.alerts or portfolio.digest.rows:
        return None
    return _by_class(messages.by_class)


def _by_trigger(rows: Sequence[CountedRow]) -> BarChart:
    counts: Counter[TriggerType] = Counter()
    for each in rows:
        counts[each.row.type] += each.row.alerts
    bars = [Bar(describe(type_), (count,), ("accent",)) for type_, count in counts.most_common()]
    return BarChart(name="trigger", title="Alerts by trigger", kind="trigger", measures=("alerts",), bars=bars)


def _transitions(rows: Iterable[CountedRow]) -> Matrix | None:
    """Months overdue before and after, of the alerts that are about them."""
    cells = [[0] * (_MOST_MONTHS + 1) for _ in range(_MOST_MONTHS + 1)]
    for row in (each.row for each in rows):
        if row.type in _OVERDUE:
            cells[min(row.before, _MOST_MONTHS)][min(row.after, _MOST_MONTHS)] += row.alerts
    matrix = Matrix(name="months", title="Overdue elsewhere, from month to month", before=_MONTHS, after=_MONTHS, cells=cells)
    return matrix if matrix.total else None


def _by_account(portfolio: Portfolio, accounts: Sequence[Any]) -> BarChart:
    counts = Counter((each.class_name, each.standing) for each in accounts)
    standings = list(Standing) if portfolio.book is not None else []
    bars = []
    for name in CLASSES:
        if standings:
            bars.append(Bar(name, tuple(counts[name, each] for each in standings), ("ink", "accent", "quiet")))
        else:
            bars.append(Bar(name, (sum(counts[name, each] for each in Standing),), (_colour(name),)))
    measures = tuple(each.value for each in standings) or ("accounts",)
    return BarChart(name="accounts", title="Your accounts by class", kind="class", measures=measures, bars=bars)


def _colour(class_name: str) -> str:
    return "none" if class_name == NO_CLASS else class_name
