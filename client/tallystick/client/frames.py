"""pandas: reports and inquiries from a frame, and a frame of what became of them. The extra is `tallystick[pandas]`.

    results = to_frame(exchange.report_many(from_frame(accounts)))
    decisions = to_frame(exchange.query_many(inquiries_from_frame(applicants)))

Columns and rules are those of docs/files.md, read by the code that reads Parquet. A row is its position, counted from 0, as
`frame.iloc` has it, whatever the frame's index is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files import accounts, applicants
from tallystick.client.files import amounts as amount_columns
from tallystick.client.files.accounts import AccountRows, Reject, accounts_of
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.applicants import Applicant, applicants_of, problem_of
from tallystick.client.files.reading import NOT_TEXT, TEXT_COLUMNS, Row, TableReader, cell_text
from tallystick.client.files.survey import survey
from tallystick.client.flows.inquiries import Inquiry, InquiryOutcome
from tallystick.client.flows.reporting import Report, ReportResult
from tallystick.credit.languages import Language
from tallystick.credit.screening import ScreeningPolicy

if TYPE_CHECKING:
    import pandas as pd

REPORT_COLUMNS = ("account_number", "outcome", "entry_index", "error_field", "error_reason", "error")

_NAME = "the frame"


def from_frame(
    frame: pd.DataFrame, *, amounts: Literal["minor", "major"] | None = None, rejects: list[Reject] | None = None
) -> list[Report]:
    """The reports of a frame with the columns of an accounts file; adjacent rows of one account make one.

    Raises FileInvalid for what is wrong with the frame as a whole; and for the first row that cannot be read, unless `rejects` is
    given, to which those rows are added. `amounts` says what amounts with decimals are."""
    if amounts not in (None, *(each.value for each in Amounts)):
        raise ValueError(f'amounts: must be "minor" or "major", not {str(amounts)[:40]!r}')
    said = None if amounts is None else Amounts(amounts)

    def table() -> TableReader:
        return _table(frame, accounts.REQUIRED, (*accounts.ACCOUNT_OPTIONAL, *accounts.MONTH_COLUMNS))

    survey(table(), amounts=amount_columns.COLUMNS, numbers=("account_number", "id_number"), said=said)
    read: list[AccountRows] = list(accounts_of(table(), said))
    _tell([reject for each in read for reject in each.rejects], rejects)
    return [each.report for each in read if each.report is not None]


def inquiries_from_frame(frame: pd.DataFrame, *, rejects: list[Reject] | None = None) -> list[Inquiry]:
    """The inquiries of a frame with the columns of an applicants file. `rejects` as in from_frame."""
    survey(_table(frame, applicants.REQUIRED, ()), numbers=("id_number",))
    read: list[Applicant] = list(applicants_of(_table(frame, applicants.REQUIRED, ())))
    problems = [(each.row, each.problem) for each in read if each.problem is not None]
    _tell([Reject(row, problem.column, problem.reason, problem.description) for row, problem in problems], rejects)
    return [each.inquiry for each in read if each.inquiry is not None]


def to_frame(
    results: Iterable[InquiryOutcome | ReportResult], policy: ScreeningPolicy | None = None, *, language: Language = "en"
) -> pd.DataFrame:
    """A frame of what became of inquiries, screened by a policy (the built-in one), with the columns of a decisions file, and its
    reasons in a language; or of reports. What is empty there is missing here. Raises FileInvalid for both kinds in one, and without
    pandas."""
    iterator = iter(results)
    first = next(iterator, None)
    if isinstance(first, ReportResult):
        rows = [_reported(each) for each in chain([first], iterator)]
        return _frame(rows, REPORT_COLUMNS, ("entry_index",))
    chosen = policy or ScreeningPolicy.default()
    outcomes = [] if first is None else chain([first], iterator)
    return _frame([_screened(each, chosen, language) for each in outcomes], applicants.DECISION_COLUMNS, applicants.NUMBERS)


class _FrameTable(TableReader):
    option = 'amounts="{}"'


def _table(frame: pd.DataFrame, required: Iterable[str], optional: Iterable[str]) -> TableReader:
    if not isinstance(frame, _pandas().DataFrame):
        raise FileInvalid(
            f"give a DataFrame of pandas, not a {type(frame).__name__}: pandas.DataFrame(…) makes one of a list of rows"
        )
    for name in frame.columns:
        if not isinstance(name, str):
            raise FileInvalid(f"{_NAME}: the columns must have names that are text (see docs/files.md)")
    return _FrameTable.over(_NAME, _rows(frame), tuple(required), tuple(optional))


def _rows(frame: pd.DataFrame) -> Iterator[Row]:
    pandas = _pandas()
    names = [str(name) for name in frame.columns]
    yield -1, names
    columns = [_values(pandas, frame.iloc[:, place], name) for place, name in enumerate(names)]
    exact = [name.lower() in amount_columns.COLUMNS for name in names]
    for number, values in enumerate(zip(*columns, strict=True)):
        cells = zip(names, values, exact, strict=True)
        yield number, [cell_text(_NAME, number, name, value, exact=keeps) for name, value, keeps in cells]


def _values(pandas: Any, column: pd.Series[Any], name: str) -> list[object]:
    """A column's values as Python has them; None for what is missing."""
    values = [_plain(pandas, value, name, place) for place, value in enumerate(column.astype(object))]
    if name.lower() in TEXT_COLUMNS and any(value is not None and not isinstance(value, str) for value in values):
        raise FileInvalid(f"{_NAME}: column {name} {NOT_TEXT}")
    return values


def _plain(pandas: Any, value: Any, name: str, place: int) -> object:
    if isinstance(value, str):
        return value
    if pandas.api.types.is_scalar(value) and pandas.isna(value):
        return None
    try:
        if isinstance(value, pandas.Timestamp):
            return value.to_pydatetime(warn=False)
        # What numpy holds by itself is a number of its own kind.
        return value.item() if hasattr(value, "dtype") and getattr(value, "ndim", 0) == 0 else value
    except (ValueError, OverflowError):
        raise FileInvalid(f"{_NAME}: row {place}: {name}: is no instant of the years 1 to 9999") from None


def _tell(found: list[Reject], rejects: list[Reject] | None) -> None:
    if rejects is not None:
        rejects += found
    elif found:
        first = found[0]
        more = f" (and {len(found) - 1} more: give `rejects=[]` to have them all, and the rest of the frame)" if found[1:] else ""
        raise FileInvalid(f"{_NAME}: row {first.row}: {first.field}: {first.description}{more}")


def _screened(outcome: object, policy: ScreeningPolicy, language: Language) -> tuple[str | int | None, ...]:
    if not isinstance(outcome, InquiryOutcome):
        raise FileInvalid("to_frame takes the outcomes of inquiries, or the results of reports, and not both in one frame")
    applicant_id = outcome.inquiry.applicant_id
    if outcome.result is not None:
        return applicants.decided(applicant_id, outcome.result, policy.evaluate(outcome.result.history), language)
    return applicants.failed(applicant_id, *(problem_of(outcome.error) if outcome.error else ("", "", "")))


def _reported(result: object) -> tuple[str | int | None, ...]:
    if not isinstance(result, ReportResult):
        raise FileInvalid("to_frame takes the outcomes of inquiries, or the results of reports, and not both in one frame")
    index = result.receipt.index if result.receipt is not None else None
    wrong = result.violations[0] if result.violations else None
    told = (wrong.field, wrong.reason, wrong.description) if wrong else ("", "", "")
    return (result.report.account_number, result.outcome.name.lower(), index, *told)


def _frame(rows: list[tuple[str | int | None, ...]], columns: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    pandas = _pandas()
    made = {}
    for place, name in enumerate(columns):
        cells = [None if row[place] == "" else row[place] for row in rows]
        made[name] = pandas.array(cells, dtype="Int64" if name in numbers else "string")
    frame: pd.DataFrame = pandas.DataFrame(made, columns=list(columns))
    return frame


def _pandas() -> Any:
    """pandas, which the plain install does without."""
    try:
        import pandas
    except ImportError:
        raise FileInvalid('frames need an extra: pip install "tallystick[pandas]"') from None
    return pandas
