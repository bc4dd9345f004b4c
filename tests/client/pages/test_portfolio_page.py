"""The month's page: whole in one file, readable without seeing it, and right in its figures."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from tests.client.pages.documents import Element, read, table

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.messages import KeptMessage
from tallystick.client.pages import portfolio as portfolio_module
from tallystick.client.pages.portfolio import BookCounts, KeptMessages, Portfolio
from tallystick.client.pages.rendering import render
from tallystick.credit.enums import TriggerType, WatchStateReason
from tallystick.credit.monitoring import Alert, DigestRow, PortfolioDigest, WarningClass, WarningPolicy, WatchEnded
from tallystick.credit.reminders import BookEntry

MONTH = dt.date(2026, 10, 1)
ROWS = (
    DigestRow(TriggerType.OVERDUE_BEGAN, 0, 1, 1312, 301),
    DigestRow(TriggerType.OVERDUE_WORSENED, 2, 3, 88, 80),
    DigestRow(TriggerType.OVERDUE_WORSENED, 6, 9, 4, 4),
    DigestRow(TriggerType.OVERDUE_CURED, 3, 0, 12, 12),
    DigestRow(TriggerType.INQUIRY_BURST, 2, 5, 40, 39),
    DigestRow(TriggerType.DEBT_GREW, 0, 20, 6, 6),
)
HOSTILE = ("</td><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a\u202eb\x1b[2J", "&amp;$x_1$")


def page(rows: tuple[DigestRow, ...] = ROWS, *, too_small: bool = False, **others: Any) -> Element:
    return read(html(rows, too_small=too_small, **others))


def html(rows: tuple[DigestRow, ...] = ROWS, *, too_small: bool = False, **others: Any) -> str:
    digest = PortfolioDigest(MONTH, 1284, rows, too_small)
    made = dt.datetime(2026, 11, 3, 8, 5, tzinfo=dt.UTC)
    values = {"member": "bank-a", "origin": "exchange.example/log", "made": made, "policy": WarningPolicy.default(), **others}
    return render(Portfolio(digest=digest, **values))


def message(number: int, class_: str | None = "red", *, account: int = 0, **others: Any) -> KeptMessage:
    values = {
        "message_id": uuid.UUID(int=number),
        "date": dt.date(2026, 10, 1 + number % 28),
        "account_reference": bytes([account]) * 40,
        "account_number": f"A-{account}",
        "content": Alert(type=TriggerType.OVERDUE_WORSENED, before=3, after=4),
        "warning_class": WarningClass(class_) if class_ else None,
        "action": "see to it" if class_ else "",
        **others,
    }
    return KeptMessage(**values)


def kept(*messages: KeptMessage) -> KeptMessages:
    found = KeptMessages(MONTH)
    for each in messages:
        found.take(each)
    return found


def whole(**others: Any) -> str:
    """A page with everything that it can have."""
    messages = kept(*(message(n, name, account=n) for n, name in enumerate(("yellow", "red", None, "green", "orange"))))
    book = BookCounts(MONTH)
    for account in range(4):
        entry = BookEntry(f"A-{account}", overdue_since=dt.date(2026, 10, 2) if account % 2 else None)
        book.take(entry)
        messages.accounts[bytes([account]) * 40].entry = entry
    return html(messages=messages, book=book, **others)


# --- One file, for everybody ---


def test_every_chart_has_words_and_a_table_with_its_figures() -> None:
    root = read(whole())
    charts = root.all("svg")
    assert len(charts) == 4
    for chart in charts:
        title, description = chart.children[0], chart.children[1]
        assert isinstance(title, Element)
        assert isinstance(description, Element)
        assert (title.tag, description.tag, chart.attributes["role"]) == ("title", "desc", "img")
        labelled = (chart.attributes["aria-labelledby"], chart.attributes["aria-describedby"])
        assert labelled == (title.attributes["id"], description.attributes["id"])
        assert title.text
        assert re.search(r"\d", description.text)
    for pair in (each for each in root.all("div") if each.attributes.get("class") == "pair"):
        drawn = {text.text for text in pair.all("svg")[0].all("text")} - {""}
        cells = {cell.text for cell in pair.all("th", "td")}
        assert {each for each in drawn if re.fullmatch(r"[\d,]+", each)} <= cells
    ids = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))


def test_it_refers_to_nothing_outside_itself() -> None:
    text = whole()
    root = read(text)
    assert not re.search(r"//|@import|<\?|javascript:", text)
    assert not root.all("script", "link", "img", "iframe", "object", "a", "form", "image")
    ids = {each.attributes.get("id") for each in root.all()}
    for each in root.all():
        assert not [name for name in each.attributes if name.startswith("on") or name in ("src", "xlink:href")]
        for value in each.attributes.values():
            for inside in re.findall(r"url\(([^)]*)\)", value):
                assert inside.strip("'\"#") in ids
        if "href" in each.attributes:
            assert each.attributes["href"][1:] in ids
    policy = [each.attributes["content"] for each in root.all("meta") if each.attributes.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_charts_take_the_colours_of_the_page() -> None:
    text = whole()
    (style,) = read(text).all("style")
    named = set(re.findall(r"var\((--[a-z]+)\)", text))
    for scheme in (style.text, style.text[style.text.index("prefers-color-scheme: dark") :]):
        assert named <= set(re.findall(r"(--[a-z]+):", scheme)) | {"--mark"}
    assert not re.findall(r"#[0-9a-fA-F]{6}", text.replace(style.raw(), ""))


@pytest.mark.parametrize("number", HOSTILE)
def test_what_a_file_says_is_text_and_steers_nothing(number: str) -> None:
    action = f"do {number}"
    messages = kept(message(1, account_number=number, action=action))
    text = html(messages=messages, member=number, origin=number)
    root = read(text)
    assert not root.all("script", "img")
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in number)
    assert [each.text for each in root.all("bdi")] == [shown]
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert shown in root.all("dl")[0].text


# --- Its figures ---


def test_it_says_what_it_is_of() -> None:
    told = page().all("header")[0].text
    for each in ("October 2026", "2026-10", "bank-a", "exchange.example/log", "2026-11-03 08:05 UTC", "default early warning"):
        assert each in told


def test_figures_add_up() -> None:
    root = page()
    total = sum(row.alerts for row in ROWS)
    assert table(root, "Alerts by class")[1:] == [
        ["red", "4"],
        ["orange", "88"],
        ["yellow", "1,352"],
        ["green", "12"],
        ["no class", "6"],
        ["all", f"{total:,}"],
    ]
    by_trigger = table(root, "Alerts by trigger")
    assert by_trigger[1] == ["overdue began", "1,312"]
    assert by_trigger[-1] == ["all", f"{total:,}"]
    counted = table(root, "One borrower may be in several rows")[1:]
    assert sum(int(row[3].replace(",", "")) for row in counted) == total
    assert counted[0] == [
        "overdue worsened",
        "an overdue elsewhere became longer: more than 180 days past due, before 151–180 days past due",
        "red",
        "4",
        "4",
    ]
    figures = root.all("dl")[1].text
    assert f"{total:,}" in figures
    assert "1,284" in figures
    assert "92" in figures


def test_transitions_are_of_months_overdue_and_seven_is_any_more() -> None:
    (_, *square) = table(page(), "The same figures")
    assert square[0] == ["0", "0", "1,312", "0", "0", "0", "0", "0", "0", "1,312"]
    assert square[2] == ["2", "0", "0", "0", "88", "0", "0", "0", "0", "88"]
    assert square[3][:2] == ["3", "12"]
    assert square[6][-2:] == ["4", "4"]
    assert square[-1] == ["all", "12", "1,312", "0", "88", "0", "0", "0", "4", "1,416"]


def test_another_policy_gives_other_classes() -> None:
    policy = WarningPolicy.from_toml(
        'name = "mine"\n[[rules]]\nname = "asked"\ntriggers = ["inquiry_burst"]\nwarning = "red"\naction = "call"\n'
    )
    root = page(policy=policy)
    assert [row[1] for row in table(root, "Alerts by class")[1:]] == ["40", "0", "0", "0", "1,422", "1,462"]
    assert "mine" in root.all("header")[0].text


def test_a_month_without_alerts_says_so() -> None:
    root = page(())
    assert "Nothing was told." in root.text
    assert not root.all("svg")


def test_too_few_borrowers_have_no_counts() -> None:
    root = page((), too_small=True)
    assert "Fewer than 50 borrowers are watched" in root.all("main")[0].text
    assert "alerts in the month" not in root.text
    assert not root.all("svg")


def test_of_too_few_the_bank_s_own_messages_are_classed() -> None:
    root = page((), too_small=True, messages=kept(message(1), message(2, "green", account=1)))
    assert [row[1] for row in table(root, "Alerts by class")[1:]] == ["1", "0", "0", "1", "0", "2"]


# --- The bank's own accounts ---


def test_accounts_come_with_the_most_urgent_first_and_those_not_overdue_here_before_others() -> None:
    messages = kept(*(message(n, name, account=n) for n, name in enumerate(("yellow", "red", None, "red", "orange"))))
    book = BookCounts(MONTH)
    messages.accounts[bytes([1]) * 40].entry = BookEntry("A-1", overdue_since=dt.date(2026, 9, 4))
    messages.accounts[bytes([3]) * 40].entry = BookEntry("A-3")
    root = page(messages=messages, book=book, limit=3)
    listed = table(root, "The most urgent first")
    assert [row[:3] for row in listed[1:]] == [
        ["A-3", "red", "not overdue here"],
        ["A-1", "red", "overdue here since 2026-09-04"],
        ["A-4", "orange", "not in the book"],
    ]
    assert "Not listed: 2 more" in root.text
    by_class = table(root, "Your accounts by class")
    assert by_class[0] == ["class", "overdue here", "not overdue here", "not in the book", "all"]
    assert by_class[1] == ["red", "1", "1", "0", "2"]
    assert by_class[-1] == ["all", "1", "1", "3", "5"]


def test_an_account_that_became_better_is_one_step_less_urgent() -> None:
    cured = Alert(type=TriggerType.OVERDUE_CURED, before=4, after=0)
    messages = kept(message(1, "red"), message(2, "green", content=cured), message(3, None))
    (_, row) = table(page(messages=messages), "The most urgent first")
    assert row[:4] == ["A-0", "orange", "3", "2026-10-04"]
    assert "121" not in row[4]
    assert "91–120 days past due" in row[4]
    assert "the newest alert says that it has become better" in row[4]


def test_the_newest_of_the_most_urgent_alerts_says_why() -> None:
    newest = Alert(type=TriggerType.NON_PERFORMING, before=0, after=3)
    messages = kept(message(1), message(2, content=newest, action="see a lawyer"), message(3, "yellow", action="call"))
    (_, row) = table(page(messages=messages), "The most urgent first")
    assert row[4] == "an account elsewhere became non-performing: asset quality substandard see a lawyer"


def test_a_message_counts_once_and_in_its_month_alone() -> None:
    repeated = Alert(type=TriggerType.INQUIRY_BURST, before=1, after=5, repeats=2)
    ended = WatchEnded(reason=WatchStateReason.ACCOUNT_NOT_LIVING, discarded_count=3)
    messages = kept(
        message(1),
        message(1),
        message(2, date=dt.date(2026, 9, 30)),
        message(3, "yellow", content=repeated),
        message(4, None, account=1, content=ended),
    )
    assert (messages.alerts, messages.repeated, messages.other_months) == (4, 1, 1)
    root = page(messages=messages)
    rows = table(root, "The most urgent first")
    assert [row[:3] for row in rows[1:]] == [["A-0", "red", "4"], ["A-1", "no class", "0"]]
    assert "the watch ended: account not living" in rows[2][4]
    missing = root.all("ul")[-1].text
    assert "those of other months: 1; and those that came again: 1" in missing
    assert "alerts that were discarded with them: 3" in missing
    assert "hold 4 alerts of the month, where the exchange counted 1,462" in missing


def test_accounts_without_a_number_are_counted_and_not_shown() -> None:
    text = html(messages=kept(message(1, account_number=None, account=0xAB)))
    assert "ab" * 40 not in text
    assert "None of the messages says an account's number" in text
    assert "neither the messages nor the book says: 1" in text


def test_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio_module, "MAX_MESSAGES", 2)
    with pytest.raises(FileInvalid, match="--messages: has more than 2 messages"):
        kept(message(1), message(2), message(2), message(3))


def test_the_book_is_counted() -> None:
    book = BookCounts(MONTH)
    for entry in (
        BookEntry("1"),
        BookEntry("2", overdue_since=dt.date(2026, 10, 31)),
        BookEntry("3", overdue_since=dt.date(2026, 9, 30), reported_overdue=True),
        BookEntry("4", overdue_since=dt.date(2026, 11, 1), cured_date=dt.date(2026, 10, 1)),
        BookEntry("5", cured_date=dt.date(2026, 11, 1), plan_end_date=dt.date(2026, 10, 31)),
        BookEntry("6", plan_end_date=dt.date(2026, 11, 1)),
    ):
        book.take(entry)
    assert [row[1] for row in table(page(book=book, unreadable=7), "As the book says it")[1:]] == ["6", "3", "1", "2", "1", "1"]
