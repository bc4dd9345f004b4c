"""The real command in a real shell: standard streams that are closed, full or of another alphabet, outputs that are no files, and
Ctrl-C.

Whatever the machine does, a command that had its effect ends with the code of what happened, and never in a trace."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.client.cli.inputs import accounts_file, applicants_file
from tests.contract.system import System

COMMAND = f"{shlex.quote(sys.executable)} -m tallystick.client.cli"
ALPHABETS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "POSIX"},
]


@dataclass(frozen=True)
class Shell:
    """Runs lines of bash with `tallystick` as a member has it."""

    profile: Path
    folder: Path

    def __call__(self, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        variables = {**os.environ, "TALLYSTICK_PROFILE": str(self.profile), "COLUMNS": "200", **environment}
        script = f'tallystick() {{ {COMMAND} "$@"; }}; {line}'
        done = subprocess.run(["bash", "-c", script], cwd=self.folder, env=variables, capture_output=True, timeout=120)
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert b"Exception ignored" not in done.stderr, done.stderr.decode()
        assert done.returncode != 70, done.stderr.decode()
        return done


@pytest.fixture
def shell(own_system: System, tmp_path: Path) -> Shell:
    accounts_file(tmp_path / "accounts.csv", 3)
    rows = [f"客户-{n}→,person,2,DE,C01X{n:05d},loan_approval,c-{n}" for n in range(3)]
    applicants_file(tmp_path / "applicants.csv", rows)
    return Shell(own_system["bank-a"].folder, tmp_path)


QUERY = "tallystick query --type 2 --country DE --number C01X00000 --purpose 02 --consent c-1"


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_no_alphabet_of_a_terminal_changes_what_a_command_did(shell: Shell, alphabet: dict[str, str]) -> None:
    # "\udce9" is what Python makes of a byte that is not UTF-8.
    name = "银行→账户 \udce9 \U0001f4b0.csv"
    (shell.folder / name).write_bytes((shell.folder / "accounts.csv").read_bytes())
    done = shell(f"tallystick report '{name}'", **alphabet)
    assert (done.returncode, done.stdout.split(b":")[0]) == (0, b"3 accounts")
    missing = shell(f"tallystick report '{name}.not'", **alphabet)
    assert (missing.returncode, missing.stdout, len(missing.stderr.splitlines())) == (2, b"", 1)


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_what_json_holds_stays_json_in_any_alphabet(shell: Shell, alphabet: dict[str, str]) -> None:
    policy = shell.folder / "policy.toml"
    policy.write_text('name = "规则 é 💰"\n[[rules]]\nname = "未知"\nkind = "no_record"\ndecision = "decline"\n', encoding="utf-8")
    done = shell(f"{QUERY.replace('C01X00000', 'C01X77777')} --policy policy.toml --json", **alphabet)
    assert done.returncode == 0, done.stderr
    encoding = "latin-1" if alphabet.get("PYTHONIOENCODING") == "latin-1" else "utf-8"
    assert [reason["rule"] for reason in json.loads(done.stdout.decode(encoding))["reasons"]] == ["未知"]
    table = shell("tallystick policy check policy.toml", **alphabet)
    assert (table.returncode, b"1 rules, all well formed" in table.stdout) == (0, True)


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_closed_standard_output_fails_nothing_and_is_told(shell: Shell, options: str) -> None:
    done = shell(f"tallystick report accounts.csv --keep-receipts r.jsonl {options} >&-")
    assert (done.returncode, b"standard output is closed" in done.stderr) == (0, True)
    assert len((shell.folder / "r.jsonl").read_text().splitlines()) == 1
    assert shell(f"{QUERY} {options} >&-").returncode == 0
    streams_of = {"": ("<&- >&- 2>&-", "2>&-", "2>/dev/full", "<&-"), "--json": (">&- 2>&-", ">/dev/full 2>/dev/full")}
    for streams in streams_of[options]:
        again = shell(f"tallystick report accounts.csv --keep-receipts r.jsonl {options} {streams}")
        assert again.returncode == 0, streams
    receipts = [json.loads(line) for line in (shell.folder / "r.jsonl").read_text().splitlines()]
    assert len({each["index"] for each in receipts}) == 1 + len(streams_of[options])
    assert shell("tallystick audit verify --receipts r.jsonl --no-entries").returncode == 0


def test_a_closed_standard_input_is_an_empty_one(shell: Shell) -> None:
    assert shell("tallystick report - <&-").returncode == 2
    assert shell(f"{QUERY.replace('C01X00000', '-')} <&-").returncode == 2
    assert shell("tallystick <&- >&-").returncode == 0


@pytest.mark.parametrize("options", ["", "--json"])
def test_what_was_done_is_told_elsewhere_when_standard_output_is_full(shell: Shell, options: str) -> None:
    done = shell(f"tallystick report accounts.csv {options} >/dev/full")
    assert done.returncode == 0
    assert b"standard output: No space left on device" in done.stderr
    assert b"3 accounts" in done.stderr or b'"accounts": 3' in done.stderr
    screened = shell(f"tallystick screen applicants.csv --out decisions.csv {options} >/dev/full")
    assert (screened.returncode, b"approve" in screened.stderr) == (0, True)
    assert len((shell.folder / "decisions.csv").read_text("utf-8").splitlines()) == 4
    # Here the answer is what was asked for, and it is lost.
    asked = shell(f"{QUERY} {options} >/dev/full")
    assert (asked.returncode, b"the query was made: it is entry" in asked.stderr) == (2, True)
    listed = shell(f"tallystick submissions {options} >/dev/full")
    assert (listed.returncode, listed.stderr) == (2, b"tallystick: standard output: No space left on device\n")


def test_a_summary_that_nobody_reads_changes_no_exit_code(shell: Shell) -> None:
    done = shell("set -o pipefail; tallystick report accounts.csv | true")
    assert done.returncode == 0
    assert b"3 accounts" in done.stderr or done.stderr == b""


@pytest.mark.parametrize("out", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_decisions_go_to_standard_output_and_all_else_beside_it(shell: Shell, out: str) -> None:
    done = shell(f"set -o pipefail; tallystick screen applicants.csv --out {out} | cat")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8"))))
    assert [row["applicant_id"] for row in rows] == ["客户-0→", "客户-1→", "客户-2→"]
    assert b"3 applicants" in done.stderr
    into_file = shell(f"echo before > all.csv; tallystick screen applicants.csv --out {out} --json >> all.csv")
    assert into_file.returncode == 0
    lines = (shell.folder / "all.csv").read_text("utf-8").splitlines()
    assert (lines[0], len(lines)) == ("before", 5)
    assert not list(shell.folder.glob("*.partial*"))


def test_an_output_may_be_a_pipe(shell: Shell) -> None:
    for line in (
        "tallystick screen applicants.csv --out >(cat > copy) >/dev/null; wait $!; sleep 0.2",
        "exec 7>copy; tallystick screen applicants.csv --out /dev/fd/7 >/dev/null",
        "mkfifo pipe; cat pipe > copy & tallystick screen applicants.csv --out pipe >/dev/null; code=$?; wait; exit $code",
    ):
        (shell.folder / "copy").unlink(missing_ok=True)
        done = shell(line)
        assert done.returncode == 0, done.stderr
        copied = (shell.folder / "copy").read_text("utf-8")
        assert [row["decision"] for row in csv.DictReader(io.StringIO(copied))] != []
        assert len(copied.splitlines()) == 4
    receipts = shell("tallystick report accounts.csv --keep-receipts >(cat > kept) --rejects >(cat > rejects); sleep 0.3")
    assert receipts.returncode == 0
    assert json.loads((shell.folder / "kept").read_text())["index"] > 0
    assert (shell.folder / "rejects").read_text() == "row,field,reason,description\n"


def test_the_reader_of_an_output_may_leave(shell: Shell) -> None:
    applicants_file(shell.folder / "many.csv", [f"a-{n},person,2,DE,C01X{n:05d},loan_approval,c-{n}" for n in range(1_500)])
    done = shell("set -o pipefail; tallystick screen many.csv --out /dev/stdout | head -2")
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (141, 2, b"")


def test_what_cannot_be_done_with_a_pipe_is_refused_with_the_reason(shell: Shell) -> None:
    parquet = shell("mkfifo out.parquet; tallystick screen applicants.csv --out out.parquet")
    assert (parquet.returncode, b"Parquet is written to a file only" in parquet.stderr) == (2, True)
    missing = shell("tallystick screen applicants.csv --out /dev/fd/9")
    assert (missing.returncode, b"/dev/fd/9: cannot be written" in missing.stderr) == (2, True)
    full = shell("tallystick screen applicants.csv --out /dev/full")
    assert (full.returncode, b"/dev/full: cannot be written: No space left" in full.stderr) == (2, True)
    both = shell("tallystick report accounts.csv --rejects /dev/stdout --keep-receipts /dev/fd/1 | cat; exit ${PIPESTATUS[0]}")
    assert (both.returncode, b"are the same" in both.stderr) == (2, True)


def test_a_run_into_a_pipe_is_not_gone_on_with(shell: Shell) -> None:
    applicants_file(shell.folder / "many.csv", [f"a-{n},person,2,DE,C01X{n:05d},loan_approval,c-{n}" for n in range(1_500)])
    assert shell("set -o pipefail; tallystick screen many.csv --out /dev/stdout | head -2").returncode == 141
    done = shell("tallystick screen many.csv --out /dev/stdout --resume | cat; exit ${PIPESTATUS[0]}")
    assert (done.returncode, b"begin anew, without --resume" in done.stderr) == (2, True)
    assert done.stdout == b""


def start(shell: Shell, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tallystick.client.cli", "--profile", str(shell.profile), *arguments]
    return subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def press(process: subprocess.Popen[bytes], times: int) -> None:
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("after", [0.15, 0.3, 0.45, 0.6])
def test_ctrl_c_at_any_moment_is_no_trace(shell: Shell, times: int, after: float) -> None:
    """After so many seconds of the processor."""
    process = start(shell, "report", "accounts.csv")
    # Not of the clock: on a busy machine Python itself may not have begun by then.
    worked = psutil.Process(process.pid)
    wait_until(lambda: process.poll() is not None or sum(worked.cpu_times()[:2]) >= after)
    press(process, times)
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err, err.decode()
    assert process.returncode in (0, 130), err.decode()
    if process.returncode == 130:
        assert err.decode().splitlines()[-1].startswith("tallystick: interrupted")
    else:
        assert b"3 accounts" in out


@pytest.mark.parametrize("times", [1, 2, 3])
def test_ctrl_c_in_the_middle_says_what_was_done(shell: Shell, times: int) -> None:
    """As often as somebody presses it; what is said to be reported is reported, and has its receipt."""
    accounts_file(shell.folder / "many.csv", 8_000)
    process = start(shell, "report", "many.csv", "--keep-receipts", "receipts", "--json")
    wait_until(lambda: (shell.folder / "receipts").exists() and (shell.folder / "receipts").stat().st_size > 0)
    press(process, times)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, b"Traceback" in err) == (130, False), err.decode()
    resumed = start(shell, "report", "many.csv", "--keep-receipts", "receipts", "--json", "--resume")
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, err.decode()
    summary = json.loads(out.splitlines()[-1])
    assert (summary["accounts"], summary["accepted"] + summary["superseded"], len(summary["submissions"])) == (8_000, 8_000, 8)
    kept = [json.loads(line)["index"] for line in (shell.folder / "receipts").read_text().splitlines()]
    assert len(set(kept)) == len(kept) >= 8


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_second_ctrl_c_does_not_wait_for_a_server_that_is_silent(shell: Shell) -> None:
    """The connection is made and nothing comes back."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        settings = (shell.profile / "token-authority.toml", shell.profile / "exchange.toml")
        before = [each.read_text() for each in settings]
        try:
            for each, text in zip(settings, before, strict=True):
                lines = [
                    f'address = "localhost:{silent.getsockname()[1]}"' if x.startswith("address") else x for x in text.splitlines()
                ]
                each.write_text("\n".join(lines))
            process = start(shell, "report", "accounts.csv")
            silent.settimeout(60)
            with silent.accept()[0]:
                # Once more until it has heard two of them: it gives the call up only then, or after its 30 seconds of patience.
                began = time.monotonic()
                while process.poll() is None:
                    press(process, 1)
                    time.sleep(0.3)
                taken = time.monotonic() - began
                _, err = process.communicate()
        finally:
            for each, text in zip(settings, before, strict=True):
                each.write_text(text)
    assert (process.returncode, b"Traceback" in err) == (130, False), err.decode()
    assert taken < 20
