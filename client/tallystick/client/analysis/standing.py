"""How accounts stand now: stages of collection, and the five-class table."""

from __future__ import annotations

from tallystick.client.analysis.decoding import BAD, LEFT, SETTLED, UNKNOWN
from tallystick.client.analysis.engine import Engine
from tallystick.client.analysis.figures import FiveClass, MilderThanDays, QualityRow, Rate, StageFigures
from tallystick.client.analysis.source import Source
from tallystick.credit.codes import SETTLED_STATUSES
from tallystick.credit.enums import AssetQuality, CollectionStage

DAYS = (0, 30, 60, 90, 270, 360)
"""Last days past due of the columns; behind them come more days, and not known."""
LEAST_CLASSES = ((90, AssetQuality.SUBSTANDARD), (270, AssetQuality.DOUBTFUL), (360, AssetQuality.LOSS))
"""More than so many days past due: at least that class. The project's reading of Articles 10 to 13 of the measures for the risk
classification of financial assets of commercial banks (2023), as they are commonly read."""
_SHOWN = 10

_CLASSES = (*(AssetQuality(number) for number in range(1, 6)), AssetQuality.UNCLASSIFIED, AssetQuality.UNSPECIFIED)


def stages(engine: Engine) -> tuple[StageFigures, ...]:
    """By stage, as the rows say it: what an account went through before is not in a book."""
    counted = {
        stage: counts
        for stage, *counts in engine.rows(
            f"SELECT stage, count(*), count(*) FILTER (days = 0 AND coalesce(state, {UNKNOWN}) <> {BAD} OR state = {SETTLED}),"
            f" count(*) FILTER (days IS NOT NULL OR state IN ({SETTLED}, {BAD})),"
            " count(*) FILTER (paid > 0), count(*) FILTER (paid IS NOT NULL) FROM now WHERE stage IS NOT NULL GROUP BY 1"
        )
    }
    found, reached = [], 0
    for stage in sorted((each for each in CollectionStage if each), reverse=True):
        accounts, recovered, known, paid, of = counted.get(int(stage), (0, 0, 0, 0, 0))
        reached += accounts
        found.append(StageFigures(stage, accounts, reached, Rate(recovered, known), Rate(paid, of)))
    return tuple(reversed(found)) if counted else ()


def five_class(engine: Engine, source: Source) -> FiveClass:
    """Open accounts by class and days past due."""
    settled = " OR ".join(
        f"(type = {int(kind)} AND status IN ({', '.join(map(str, sorted(codes)))}))" for kind, codes in SETTLED_STATUSES.items()
    )
    is_open = f"NOT coalesce({settled}, false) AND coalesce(state, {UNKNOWN}) NOT IN ({SETTLED}, {LEFT})"
    cases = " ".join(f"WHEN days <= {most} THEN {place}" for place, most in enumerate(DAYS))
    place = f"CASE WHEN days IS NULL THEN {len(DAYS) + 1} {cases} ELSE {len(DAYS)} END"
    counts = {
        (quality, at): count
        for quality, at, count in engine.rows(
            f"SELECT coalesce(quality, 0), {place}, count(*) FROM now WHERE {is_open} GROUP BY 1, 2"
        )
    }
    rows = [QualityRow(each, tuple(counts.get((int(each), at), 0) for at in range(len(DAYS) + 2))) for each in _CLASSES]
    return FiveClass(tuple(rows), tuple(_milder(engine, source, is_open, at) for at in range(len(LEAST_CLASSES))))


def _milder(engine: Engine, source: Source, is_open: str, at: int) -> MilderThanDays:
    days, least = LEAST_CLASSES[at]
    most = f"AND days <= {LEAST_CLASSES[at + 1][0]}" if at + 1 < len(LEAST_CLASSES) else ""
    chosen = f"FROM now WHERE {is_open} AND days > {days} {most} AND quality BETWEEN 1 AND 5"
    (classed,) = engine.row(f"SELECT count(*) {chosen}")
    (milder,) = engine.row(f"SELECT count(*) {chosen} AND quality < {least:d}")
    places = [row[0] for row in engine.rows(f"SELECT first {chosen} AND quality < {least:d} ORDER BY first LIMIT {_SHOWN}")]
    numbers = source.row_numbers(engine, places)
    return MilderThanDays(days, least, Rate(milder, classed), tuple(numbers[each] for each in places))
