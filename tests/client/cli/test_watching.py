"""The commands of monitoring: watches from a file, and messages handed on before they are acknowledged."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli.inputs import NUMBER
from tests.client.flows.watching import Outbox, message

from tallystick.client.cli.context import Tool
from tallystick.client.cli.delivery import Delivery
from tallystick.client.cli.program import run
from tallystick.credit.enums import Purpose, TriggerType, WatchState, WatchStateReason
from tallystick.v1 import monitoring_service_pb2 as pb

HEADER = "id_kind,id_type,id_country,id_number,account_number,consent_reference,triggers,end_date"
ROW = "person,2,DE," + NUMBER + ",{account},{consent},{triggers},{end}"


@pytest.fixture
def outbox(system: Any) -> Outbox:
    """Three messages, two a page."""
    return Outbox([message(number) for number in range(3)]).serve(system)


def watches(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "watches.csv"
    filled = [ROW.format(**{"account": "1", "consent": "clause-7", "triggers": "", "end": "", **row}) for row in rows]
    path.write_text("\n".join([HEADER, *filled]))
    return path


def program(folder: Path, source: str) -> str:
    """A command line that runs Python; SEEN is a file that it may append to."""
    script = folder / "program.py"
    script.write_text(f"SEEN = {str(folder / 'seen')!r}\n" + source)
    return shlex.join([sys.executable, str(script)])


def seen(folder: Path) -> list[Any]:
    path = folder / "seen"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


APPEND = "import sys\nwith open(SEEN, 'a') as file:\n    print(sys.stdin.read(), file=file)\n"


# --- put, end, list ---


def test_each_row_is_put_or_rejected_by_itself(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    file = watches(
        tmp_path,
        {"triggers": "overdue_began:2;inquiry_burst"},
        {"account": "2", "triggers": "sunshine"},
        {"account": "3", "consent": "unknown"},
        {"account": "4", "end": "tomorrow"},
    )
    ran = cli("watch", "put", file, "--rejects", tmp_path / "rejects.csv", "--keep-receipts", tmp_path / "receipts")
    assert ran.code == 1
    assert "4 watches: 1 accepted, 3 rejected" in ran.out
    with (tmp_path / "rejects.csv").open() as rejects:
        assert [(each["row"], each["field"]) for each in csv.DictReader(rejects)] == [
            ("3", "triggers"),
            ("4", "account_number"),
            ("5", "end_date"),
        ]
    (request,) = outbox.put
    assert {TriggerType(each.type): each.threshold for each in request.watches[0].triggers} == {
        TriggerType.OVERDUE_BEGAN: 2,
        TriggerType.INQUIRY_BURST: 0,
    }
    assert (tmp_path / "receipts").stat().st_size
    assert NUMBER not in ran.out + ran.err


@pytest.mark.parametrize("triggers", ["overdue_began;overdue_began", "overdue_began:two", "overdue_began:-1", "unspecified", "1"])
def test_triggers_that_are_none_are_named(cli: Any, outbox: Outbox, tmp_path: Path, triggers: str) -> None:
    ran = cli("watch", "put", watches(tmp_path, {"triggers": triggers}))
    assert ran.code == 1
    assert "row 2: triggers: " in ran.err
    assert outbox.put == []


def test_watches_end_by_account_number_and_by_id(cli: Any, system: Any, outbox: Outbox, tmp_path: Path) -> None:
    assert cli("watch", "put", watches(tmp_path, {"account": "6222-0017"}, {"account": "6222-0018"})).code == 0
    for place, put in enumerate(outbox.put[0].watches):
        listed: Any = pb.ListedWatch(watch_id=bytes([place]) * 16, account_reference=put.account_reference, end_date=20270301)
        listed.purpose, listed.state = int(Purpose.POST_LOAN_MANAGEMENT), int(WatchState.ACTIVE)
        outbox.listed.append(listed)
    book = tmp_path / "book.csv"
    book.write_text("account_number,remark\n6222-0018,x\n6222-0019,y\n")
    ran = cli("watch", "list", "--accounts", book, "--json")
    assert "6222-0018" in [each["account"] for each in ran.json]
    ran = cli("watch", "end", "--accounts", book, "--json")
    assert (ran.code, ran.json) == (1, [{"ended": 1, "not_watched": 1}])
    assert cli("watch", "end", "00" * 16).code == 0
    assert [list(request.watch_ids) for request in outbox.ended] == [[b"\1" * 16], [bytes(16)]]
    for wrong in (["zz"], ["00"], [], ["00" * 16, "--all"]):
        assert cli("watch", "end", *wrong).code == 2
    assert len(outbox.ended) == 2


# --- follow ---


def test_messages_are_shown_with_class_and_action_and_acknowledged(cli: Any, outbox: Outbox) -> None:
    ran = cli("watch", "follow", "--once")
    assert ran.code == 0
    assert "2026-03-10" in ran.out
    assert "yellow: an account elsewhere became overdue: 1–30 days past due" in ran.out
    assert "contact the borrower" in ran.out
    assert outbox.acknowledged == 3
    assert cli("watch", "follow", "--once").out == ""


def test_a_policy_of_ones_own_classes_them(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text(
        '[[rules]]\nname = "late"\ntriggers = ["overdue_began"]\nwarning = "red"\naction = "call at once"\nat_least = 2\n'
    )
    told = cli("watch", "follow", "--once", "--policy", policy, "--json").json
    assert [(each["class"], each["action"]) for each in told] == [(None, None), ("red", "call at once"), ("red", "call at once")]
    policy.write_text("[[rules]]\n")
    assert cli("watch", "follow", "--once", "--policy", policy).code == 2


def test_lines_hold_the_account_and_no_token(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    assert cli("watch", "put", watches(tmp_path, {"account": "6222-0017"})).code == 0
    outbox.messages[0].account_reference.CopyFrom(outbox.put[0].watches[0].account_reference)
    token = b"\x9a" * 32
    outbox.messages[0].subject.element = token
    ended = outbox.messages[1].watch_ended
    ended.reason, ended.discarded_count = int(WatchStateReason.ACCOUNT_NOT_LIVING), 4  # type: ignore[assignment]
    book = tmp_path / "book.csv"
    book.write_text("account_number\n6222-0017\n")
    ran = cli("watch", "follow", "--once", "--accounts", book, "--json")
    first, second, _ = ran.json
    assert (first["account_number"], second["account_number"]) == ("6222-0017", None)
    assert first["message_id"] == "00000000-0000-0000-0000-000000000000"
    assert "alert" not in second
    assert second["watch_ended"]["discarded_count"] == 4
    assert token.hex() not in ran.out


def test_a_program_gets_each_message_before_it_is_acknowledged(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    ran = cli("watch", "follow", "--once", "--exec", program(tmp_path, APPEND))
    assert ran.code == 0
    assert [each["message_id"][-1] for each in seen(tmp_path)] == ["0", "1", "2"]
    assert outbox.acknowledged == 3


def test_what_a_program_does_not_take_is_not_acknowledged(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    fails = APPEND + "    file.flush()\nsys.exit(sum(1 for _ in open(SEEN)) == 3 and 7)\n"
    ran = cli("watch", "follow", "--once", "--exec", program(tmp_path, fails))
    assert ran.code != 0
    assert "ended with 7" in ran.err
    assert outbox.acknowledged == 2, "the page before was taken"
    assert cli("watch", "follow", "--once", "--exec", program(tmp_path, APPEND)).code == 0
    assert [each["message_id"][-1] for each in seen(tmp_path)] == ["0", "1", "2", "2"]
    assert outbox.acknowledged == 3


@pytest.mark.parametrize("command", ["", "no-such-program-anywhere", "'unclosed"])
def test_a_program_that_cannot_be_run_takes_nothing(cli: Any, outbox: Outbox, command: str) -> None:
    ran = cli("watch", "follow", "--once", "--exec", command)
    assert ran.code == 2
    assert "--exec" in ran.err
    assert outbox.acknowledged == 0


def test_a_program_is_run_without_a_shell(cli: Any, outbox: Outbox, tmp_path: Path) -> None:
    command = program(tmp_path, "import json, sys\nwith open(SEEN, 'a') as file:\n    print(json.dumps(sys.argv[1:]), file=file)\n")
    assert cli("watch", "follow", "--once", "--exec", command + " '$HOME; *'").code == 0
    assert seen(tmp_path)[0] == ["$HOME; *"]


def test_an_interrupt_ends_it_and_acknowledges_only_what_was_handed_on(
    cli: Any, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = Delivery.tell

    def interrupted(delivery: Delivery, each: Any) -> None:
        if each.message_id.int == 2:
            raise KeyboardInterrupt
        tell(delivery, each)

    monkeypatch.setattr(Delivery, "tell", interrupted)
    ran = cli("watch", "follow", "--once")
    assert ran.code == 130
    assert outbox.acknowledged == 2


def test_what_is_piped_has_left_before_it_is_acknowledged(
    system: Any, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, written = tmp_path / "out", []
    with path.open("w", encoding="utf-8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        tool = Tool(open_exchange=lambda _: system.open(), profile=system.folder)
        acknowledge = Outbox._acknowledge

        def noted(self: Outbox, request: Any) -> Any:
            written.append(len(path.read_text("utf-8").splitlines()))
            return acknowledge(self, request)

        monkeypatch.setattr(Outbox, "_acknowledge", noted)
        outbox.serve(system)
        assert run(["watch", "follow", "--once", "--json"], tool) == 0
    assert written == [2, 3]
