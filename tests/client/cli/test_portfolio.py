"""The command of the month's page: the counts, the book and the messages in one file, written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli.inputs import NUMBER
from tests.client.flows.watching import Outbox, message
from tests.client.pages.documents import Element, read, table

from tallystick.credit.enums import TriggerType
from tallystick.v1 import monitoring_service_pb2 as pb

DIGEST = ("portfolio", "digest", "--month", "2026-03")
TOKEN = b"\x9a" * 32


@pytest.fixture
def outbox(system: Any) -> Outbox:
    """Seven alerts of March, and what the exchange counts in it."""
    outbox = Outbox([message(number) for number in range(7)], page=10).serve(system)
    for each in outbox.messages:
        each.subject.element = TOKEN
    outbox.digest = answer((TriggerType.OVERDUE_BEGAN, 0, 1, 1310, 1200), (TriggerType.INQUIRY_BURST, 1, 5, 21, 21))
    return outbox


def answer(*rows: tuple[TriggerType, int, int, int, int], too_small: bool = False) -> pb.GetPortfolioDigestResponse:
    made = pb.GetPortfolioDigestResponse(watched_count=4000, too_small=too_small)
    for type_, before, after, alerts, subjects in rows:
        row: Any = made.rows.add(before=before, after=after, alert_count=alerts, subject_count=subjects)
        row.type = int(type_)
    return made


def put(cli: Any, outbox: Outbox, folder: Path, *accounts: str) -> None:
    """Watches accounts, and has the first messages tell of them in turn."""
    header = "id_kind,id_type,id_country,id_number,account_number,consent_reference"
    rows = [f"person,2,DE,{NUMBER},{account},clause-7" for account in accounts]
    (folder / "watches.csv").write_text("\n".join([header, *rows]))
    assert cli("watch", "put", folder / "watches.csv").code == 0
    for place, each in enumerate(outbox.put[0].watches):
        outbox.messages[place].account_reference.CopyFrom(each.account_reference)


def book(folder: Path, *rows: str) -> Path:
    path = folder / "book.csv"
    path.write_text("\n".join(["account_number,overdue_since", *rows]))
    return path


def follow(cli: Any, folder: Path, *options: str | Path) -> Path:
    """What the messages are as `watch follow` writes them."""
    path = folder / "messages.jsonl"
    path.write_text(cli("watch", "follow", "--once", "--json", *options).out, "utf-8")
    return path


def page(path: Path) -> Element:
    return read(path.read_text("utf-8"))


def test_the_page_joins_counts_book_and_messages(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    put(cli, outbox, tmp_path, "6222-0017", "6222-0018")
    own = book(tmp_path, "6222-0017,2026-03-02", "6222-0018,", "6222-0019,")
    messages = follow(cli, tmp_path, "--accounts", own)
    ran = cli(*DIGEST, "--out", tmp_path / "page.html", "--book", own, "--messages", messages)
    assert (ran.code, ran.out) == (0, "")
    assert "2026-03: 1331 alerts, 3 of your accounts" in ran.err
    root = page(tmp_path / "page.html")
    assert [row[1] for row in table(root, "Alerts by class")[1:]] == ["0", "0", "1,331", "0", "0", "1,331"]
    assert [row[1] for row in table(root, "As the book says it")[1:3]] == ["3", "1"]
    assert [row[:3] for row in table(root, "The most urgent first")[1:]] == [
        ["6222-0018", "yellow", "not overdue here"],
        ["6222-0017", "yellow", "overdue here since 2026-03-02"],
    ]
    assert "neither the messages nor the book says: 1" in root.text
    assert outbox.months == [20260301]


def test_the_book_gives_the_numbers_that_the_messages_lack(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    put(cli, outbox, tmp_path, "6222-0017")
    messages = follow(cli, tmp_path)
    assert "6222" not in messages.read_text()
    out = tmp_path / "page.html"
    assert cli(*DIGEST, "--out", out, "--messages", messages, "--book", book(tmp_path, "6222-0017,", f"{'9' * 300},")).code == 0
    assert [row[0] for row in table(page(out), "The most urgent first")[1:]] == ["6222-0017"]


def test_no_token_and_no_reference_is_in_it(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    put(cli, outbox, tmp_path, "6222-0017")
    messages = follow(cli, tmp_path)
    (line, *others) = messages.read_text().splitlines()
    messages.write_text("\n".join([json.dumps({**json.loads(line), "subject": {"element": TOKEN.hex()}, "text": NUMBER}), *others]))
    assert cli(*DIGEST, "--out", tmp_path / "page.html", "--messages", messages).code == 0
    text = (tmp_path / "page.html").read_text()
    for secret in (TOKEN, outbox.messages[0].account_reference.digest, outbox.messages[1].account_reference.digest):
        assert secret.hex() not in text
    assert NUMBER not in text
    assert "exchange.test/log" in text


def test_json_prints_the_counts_instead(cli: Any, outbox: Outbox) -> None:
    ran = cli(*DIGEST, "--json")
    assert ran.code == 0
    assert ran.json == [
        {
            "month": "2026-03-01",
            "watched": 4000,
            "rows": [
                {"type": "overdue_began", "before": 0, "after": 1, "alerts": 1310, "subjects": 1200},
                {"type": "inquiry_burst", "before": 1, "after": 5, "alerts": 21, "subjects": 21},
            ],
            "too_small": False,
        }
    ]


def test_too_few_borrowers_are_told_so(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    outbox.digest = answer(too_small=True)
    ran = cli(*DIGEST, "--out", tmp_path / "page.html")
    assert (ran.code, "fewer than 50 borrowers are watched" in ran.err) == (0, True)
    assert "No counts." in page(tmp_path / "page.html").text


def test_classes_are_those_of_a_policy_of_ones_own(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text('name = "mine"\n[[rules]]\nname = "a"\ntriggers = ["inquiry_burst"]\nwarning = "red"\naction = "call"\n')
    assert cli(*DIGEST, "--out", tmp_path / "page.html", "--policy", policy).code == 0
    assert table(page(tmp_path / "page.html"), "Alerts by class")[1] == ["red", "21"]
    policy.write_text("[[rules]]\n")
    assert cli(*DIGEST, "--out", tmp_path / "page.html", "--policy", policy).code == 2


def test_a_row_of_the_book_that_cannot_be_read_is_named_and_counted(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    ran = cli(*DIGEST, "--out", tmp_path / "page.html", "--book", book(tmp_path, "6222-0017,soon", "6222-0018,"))
    assert (ran.code, "row 2: overdue_since: " in ran.err) == (1, True)
    root = page(tmp_path / "page.html")
    assert "Rows of your book that cannot be read: 1" in root.text
    assert table(root, "As the book says it")[1] == ["in the book", "1"]


# --- Messages that are none ---


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"message_id": "1"}, "message_id must be a UUID"),
        ({"date": "10.3.2026"}, "date must be a day"),
        ({"account_reference": "ab"}, "account_reference must be 40 bytes"),
        ({"account_number": 6222}, "account_number must be a text"),
        ({"account_number": "9" * 257}, "account_number must be a text"),
        ({"class": "purple"}, "class must be one of"),
        ({"action": "x" * 301}, "action must be a text"),
        ({"alert": None}, "must have either alert or watch_ended"),
        ({"alert": [1]}, "alert must be an object"),
        ({"alert": {"type": "sunshine"}}, "alert.type must be a name"),
        ({"alert": {"type": "overdue_began", "before": -1}}, "alert.before must be a whole number"),
        ({"alert": {"type": "overdue_began", "after": True}}, "alert.after must be a whole number"),
        ({"alert": {"type": "overdue_began", "band": {"currency": "QQQ"}}}, "alert.band.currency"),
        ({"watch_ended": {"reason": "date"}}, "must have either alert or watch_ended"),
        ({"alert": None, "watch_ended": {"reason": "mood"}}, "watch_ended.reason"),
    ],
)
def test_a_line_that_is_no_message_is_named_with_its_field(
    cli: Any, outbox: Outbox, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    messages = follow(cli, tmp_path)
    lines = messages.read_text("utf-8").splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), **change})
    messages.write_text("\n".join(lines), "utf-8")
    ran = cli(*DIGEST, "--out", tmp_path / "page.html", "--messages", messages)
    assert (ran.code, f"line 3: {told}" in ran.err) == (2, True), ran.err
    assert not (tmp_path / "page.html").exists()
    assert not outbox.months


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "line 1: is not JSON"),
        (b"\n\xff\xfe{}\n", "line 2: is not"),
        (b"[]", "line 1: the line must be an object"),
        (b"[" * 30_000, "line 1: is not JSON"),
        (b'{"a": "' + b"x" * 65_536 + b'"}', "line 1: is longer than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_messages(cli: Any, outbox: Outbox, tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_bytes(content)
    ran = cli(*DIGEST, "--out", tmp_path / "page.html", "--messages", path)
    assert (ran.code, told in ran.err) == (2, True), ran.err


# --- The file that is written ---


def test_an_earlier_page_is_replaced_whole_and_keeps_its_permissions(
    cli: Any, outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "page.html"
    out.write_text("before")
    out.chmod(0o600)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        ran = cli(*DIGEST, "--out", out)
    assert (ran.code, "page.html: cannot be written: No space left on device" in ran.err) == (2, True)
    assert out.read_text() == "before"
    assert [each.name for each in tmp_path.glob("page*")] == ["page.html"]
    assert cli(*DIGEST, "--out", out).code == 0
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.glob("page*")] == ["page.html"]


def test_standard_output_takes_it_and_nothing_beside(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    own = book(tmp_path, "6222-0017,soon", "6222-0018,")
    with (tmp_path / "out").open("w+b") as out:
        place = f"/dev/fd/{out.fileno()}"
        assert cli(*DIGEST, "--out", place, "--book", own).code == 1
        out.seek(0)
        text = out.read().decode()
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")


def test_a_refusal_leaves_what_was_there(cli: Any, system: Any, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("before")
    assert cli(*DIGEST, "--out", out).code not in (0, 1)
    assert out.read_text() == "before"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--json", "--out", "page.html"],
        ["--json", "--book", "book.csv"],
        ["--out", "link.html", "--book", "book.csv"],
        ["--out", "page.pdf"],
        ["--out", "page.html", "--limit", "0"],
        ["--out", "page.html", "--messages", "nowhere.jsonl"],
    ],
)
def test_wrong_usage_asks_nothing(
    cli: Any, outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = book(tmp_path, "6222-0017,").read_text()
    (tmp_path / "link.html").symlink_to("book.csv")
    assert cli(*DIGEST, *arguments).code == 2
    assert not outbox.months
    assert (tmp_path / "book.csv").read_text() == content
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("month", ["2026-13", "March", "2026-03-10"])
def test_a_month_that_is_none(cli: Any, outbox: Outbox, month: str) -> None:
    ran = cli("portfolio", "digest", "--month", month, "--json")
    assert (ran.code, "must be a month such as" in ran.err) == (2, True)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(
    cli: Any, outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ran = cli(*DIGEST, "--out", tmp_path / "page.html")
    assert (ran.code, 'pip install "tallystick[page]"' in ran.err) == (2, True)
    assert not outbox.months
    assert cli(*DIGEST, "--json").code == 0
