"""A file reported and a file screened by the real command, ended in the middle by Ctrl-C, a kill, a cut connection and a full disk,
and gone on with each time: every row has its effect once, every request its receipt, and the memory does not grow with the file."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.load import system
from tests.load.clients import subject
from tests.load.ledger_checks import Database
from tests.load.workplace import Ended, Workplace

from tallystick.client import Exchange, Inquiry, Purpose
from tallystick.server.installation.embedded import embedded_postgresql
from tallystick.v1 import log_pb2

MONTHS = 4
ROWS = int(os.environ.get("TALLYSTICK_TEST_ROWS", "80000"))
"""Rows of the long file: see the Makefile's target `million`."""
REJECTED_EVERY = 9_973
"""Of so many accounts one is rejected by the exchange."""
APPLICANTS = 6_000
SAMPLED = 3_000
"""Accounts that are looked at one by one, after the run."""
GROWTH = 24 * 1024 * 1024
"""Bytes of memory by which a run over ten times as many rows may differ, the tokens that are kept being as many."""

pytestmark = pytest.mark.slow


@dataclass
class Place:
    """What the tests work on."""

    work: Workplace
    url: str
    folder: Path


@pytest.fixture
def place() -> Iterator[Place]:
    """Both servers, and one member with a disk of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-runs-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = stack.enter_context(embedded_postgresql(folder / "exchange-data"))
        authority = f"embedded:{folder / 'authority-data'}"
        stack.enter_context(system.server(folder / "authority", "token-authority", authority, workers=1))
        options = system.authority_options(folder / "authority")
        stack.enter_context(system.server(folder / "exchange", "exchange", url, *options, workers=2))
        work = Workplace(folder / "disk")
        stack.callback(work.close)
        system.admit(folder / "exchange", "bank-a", "reporter,inquirer", work.profile)
        system.admit(folder / "authority", "bank-a", "token-requester", work.profile)
        work.reach_through_proxy()
        yield Place(work, url, folder)


def accounts_file(path: Path, rows: int, first: int = 0) -> Path:
    """Accounts of a few months each, of a person each; a few have a currency that there is not."""
    with path.open("w", newline="") as opened:
        opened.write(
            "id_kind,id_type,id_country,id_number,account_number,as_of,account_type,status,currency,opened_date,balance,month,disposition\n"
        )
        for number in range(first, first + rows // MONTHS):
            currency = "XXX" if is_rejected(number) else "CNY"
            shared = f"person,10,CN,{subject(number).number},acc-{number},2025-12-31T16:00:00Z,R2,1,{currency},2015-01-05,{number}"
            opened.writelines(f"{shared},2025-{month:02d},N\n" for month in range(MONTHS, 0, -1))
    return path


def is_rejected(number: int) -> bool:
    return number % REJECTED_EVERY == 17


def test_a_report_is_ended_four_times_and_has_its_effect_once(place: Place) -> None:
    work, accounts = place.work, ROWS // MONTHS
    file, receipts, rejects = place.folder / "accounts.csv", work.disk / "receipts.jsonl", work.disk / "rejects.csv"

    def report(*more: str) -> tuple[str | Path, ...]:
        return ("report", file, "--keep-receipts", receipts, "--rejects", rejects, "--json", *more)

    tenth = accounts_file(place.folder / "tenth.csv", ROWS // 10, first=1_500_000)
    short = work.run("report", tenth, "--json")
    assert short.code in (0, 1), short.err
    before, others = submissions(place.url), short.summary["accepted"]
    assert isinstance(others, int)

    accounts_file(file, ROWS)
    ended = [
        expect(work, 130, work.run(*report(), after=accounts // 10, act=work.interrupt), "--resume"),
        expect(work, -9, work.run(*report("--resume"), after=accounts * 3 // 10, act=work.kill)),
        expect(work, 3, work.run(*report("--resume"), after=accounts * 5 // 10, act=work.cut), "not reached", "--resume"),
        expect(work, 2, work.run(*report("--resume"), after=accounts * 7 // 10, act=work.fill), "cannot be written", "--resume"),
    ]
    last = work.run(*report("--resume"))
    assert last.code == 1, last.err
    wrong = [number for number in range(accounts) if is_rejected(number)]
    summary = last.summary
    assert (summary["accounts"], summary["accepted"], summary["rejected"]) == (accounts, accounts - len(wrong), len(wrong))
    assert (summary["superseded"], summary["complete"]) == (0, True)
    with rejects.open(newline="") as opened:
        assert [(int(row["row"]), row["field"]) for row in csv.DictReader(opened)] == [(2 + n * MONTHS, "currency") for n in wrong]
    check_database(place.url, summary, before, others, accounts - len(wrong))
    check_receipts(work, receipts, len(list_of(summary, "submissions")))
    check_accounts(work, [number for number in range(accounts) if not is_rejected(number)])
    # A tenth of the rows, beside as many tokens of persons as are kept now.
    again = work.run("report", tenth, "--json")
    for name, run in zip(
        ("a tenth", "interrupted", "killed", "cut", "full", "last", "a tenth"), (short, *ended, last, again), strict=True
    ):
        print(f"{name}: {run.seconds:.0f} s, {run.peak >> 20} MiB")
    assert max(run.peak for run in (*ended, last)) < again.peak + GROWTH


def expect(work: Workplace, code: int, run: Ended, *said: str) -> Ended:
    """The run ended as it should, and said so in a line."""
    assert run.code == code, (run.code, run.err)
    assert "Traceback" not in run.err
    for text in said:
        assert text in run.err
    work.mend()
    return run


def submissions(url: str) -> dict[bytes, int]:
    """Each submission that had an effect, with how many accounts it brought."""
    database = Database(url)
    found = database.rows("SELECT request_id, accepted_count FROM request WHERE accepted_count IS NOT NULL")
    database.close()
    return {request_id: int(count) for request_id, count in found}


def list_of(summary: dict[str, object], name: str) -> list[str]:
    value = summary[name]
    assert isinstance(value, list)
    return [str(each) for each in value]


def check_database(url: str, summary: dict[str, object], before: dict[bytes, int], others: int, accepted: int) -> None:
    """Every submission and every account is there once, and the log is whole."""
    counted = {key: count for key, count in submissions(url).items() if key not in before}
    said = list_of(summary, "submissions")
    assert len(said) == len(set(said)) == len(counted)
    assert {bytes.fromhex(each.replace("-", "")) for each in said} == set(counted)
    assert sum(counted.values()) == accepted
    database = Database(url)
    ((known, references),) = database.rows(
        "SELECT count(*), count(DISTINCT account_reference) FROM account WHERE record IS NOT NULL"
    )
    assert (known, references) == (others + accepted, others + accepted)
    database.check_log()
    database.close()


def check_receipts(work: Workplace, receipts: Path, batches: int) -> None:
    """No entry's receipt is there twice, no request is without one, and all of them hold against the log."""
    lines = [json.loads(line) for line in receipts.read_text("ascii").splitlines()]
    assert len({line["index"] for line in lines}) == len(lines)
    kept = [log_pb2.Receipt.FromString(base64.b64decode(line["receipt"])) for line in lines]
    assert len({log_pb2.Envelope.FromString(each.envelope).request_digest for each in kept}) == batches
    # What was sent and not counted was sent again: at the most what is under way at once, each time that a run ended.
    print(f"{len(lines)} receipts of {batches} batches")
    assert batches <= len(lines) <= batches + 4 * 8
    verified = work.run("audit", "verify", "--receipts", receipts, "--no-entries")
    assert verified.code == 0, verified.out + verified.err
    assert f"{len(lines)} receipts kept" in verified.out


def check_accounts(work: Workplace, numbers: list[int]) -> None:
    """Each of the accounts, or of very many a sample of them, is known once and with all of its months."""
    step = max(1, len(numbers) // SAMPLED)
    sampled = numbers[::step]
    with Exchange.from_profile(work.profile) as exchange:
        asked = (Inquiry(subject(number), Purpose.POST_LOAN_MANAGEMENT, f"c-{number}", str(number)) for number in sampled)
        outcomes = list(exchange.query_many(asked))
    assert len(outcomes) == len(sampled)
    for number, outcome in zip(sampled, outcomes, strict=True):
        assert outcome.result is not None, outcome.error
        (reported,) = outcome.result.history.accounts
        assert (reported.account.balance, [month.month.month for month in reported.account.months]) == (
            number,
            list(range(MONTHS, 0, -1)),
        )


def test_a_screening_is_ended_four_times_and_asks_everything_once(place: Place) -> None:
    work = place.work
    file, out, receipts = place.folder / "applicants.csv", work.disk / "decisions.csv", work.disk / "receipts.jsonl"
    with file.open("w", newline="") as opened:
        opened.write("applicant_id,id_kind,id_type,id_country,id_number,purpose,consent_reference\n")
        opened.writelines(
            f"app-{n},person,10,CN,{subject(n).number},{'curiosity' if n == 4_321 else 'loan_approval'},c-{n}\n"
            for n in range(APPLICANTS)
        )

    def screen(*more: str) -> tuple[str | Path, ...]:
        return ("screen", file, "--out", out, "--keep-receipts", receipts, "--json", *more)

    expect(work, 130, work.run(*screen(), after=APPLICANTS // 10, act=work.interrupt), "--resume", "decisions.partial.csv")
    expect(work, -9, work.run(*screen("--resume"), after=APPLICANTS * 3 // 10, act=work.kill))
    expect(work, 3, work.run(*screen("--resume"), after=APPLICANTS * 5 // 10, act=work.cut), "not reached", "--resume")
    expect(work, 2, work.run(*screen("--resume"), after=APPLICANTS * 7 // 10, act=work.fill), "cannot be written", "--resume")
    last = work.run(*screen("--resume"))
    assert last.code == 1, last.err
    assert (last.summary["applicants"], last.summary["refer"], last.summary["error"]) == (APPLICANTS, APPLICANTS - 1, 1)
    with out.open(newline="") as opened:
        decided = list(csv.DictReader(opened))
    assert [row["applicant_id"] for row in decided] == [f"app-{n}" for n in range(APPLICANTS)]
    assert [n for n, row in enumerate(decided) if row["outcome"] == "error"] == [4_321]
    database = Database(place.url)
    footprints = dict(database.rows("SELECT consent_reference, count(*) FROM audit_subject WHERE footprint GROUP BY 1"))
    database.close()
    assert footprints == {f"c-{n}": 1 for n in range(APPLICANTS) if n != 4_321}
    lines = [json.loads(line) for line in receipts.read_text("ascii").splitlines()]
    assert len({line["index"] for line in lines}) == len(lines)
    assert {int(row["entry_index"]) for row in decided if row["entry_index"]} <= {line["index"] for line in lines}
    assert work.run("audit", "verify", "--receipts", receipts, "--no-entries").code == 0
