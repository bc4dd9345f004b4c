"""The embedded PostgreSQL: shared by its users, stopped by the last, and never at the cost of the keys."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg2
import pytest

from tallystick.server.installation.database import DatabaseProblem, clock, connect, database_url
from tallystick.server.installation.embedded import EmbeddedDatabaseProblem, embedded_postgresql, folders_to_open
from tallystick.server.installation.key_folder import KeyFolder, KeyFolderProblem
from tallystick.server.installation.settings import Settings

USER = """
import sys
from pathlib import Path
from tallystick.server.installation.embedded import embedded_postgresql
with embedded_postgresql(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # A socket's path must be short, and pytest's own folder is closed to the database's user.
    folder = Path(tempfile.mkdtemp(prefix="tallystick-"))
    yield folder / "data"
    shutil.rmtree(folder)


def answers(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def settings(folder: Path, **changes: str) -> Settings:
    return Settings.check(
        {
            "role": "token-authority",
            "origin": "authority.example/log",
            "database": f"embedded:{folder}",
            "key_folder": str(folder.parent / "keys"),
            "tls_certificate": "server.crt",
            "tls_key": "server.key",
            "tls_client_ca": "ca.crt",
            **changes,
        }
    )


def test_it_runs_as_long_as_somebody_uses_it(folder: Path) -> None:
    with embedded_postgresql(folder) as url:
        with embedded_postgresql(folder) as again:
            assert again == url
        assert answers(url)
    assert not answers(url)
    with embedded_postgresql(folder) as url:
        assert answers(url)


def test_durability_is_not_traded(folder: Path) -> None:
    with embedded_postgresql(folder) as url, connect(url) as connection, connection.cursor() as cursor:
        found = {}
        for name in ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "listen_addresses"):
            cursor.execute("SELECT current_setting(%s)", (name,))
            found[name] = (cursor.fetchone() or ("",))[0]
    assert found == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": "256MB",
        "listen_addresses": "",
    }


def test_processes_share_it_and_a_killed_one_does_not_keep_it(folder: Path) -> None:
    command = [sys.executable, "-c", USER, str(folder)]
    users = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    urls = []
    for user in users:
        assert user.stdout is not None
        urls.append(user.stdout.readline().strip())
    assert urls[0] == urls[1]
    users[0].kill()
    users[0].communicate()
    assert answers(urls[1])
    users[1].communicate("", timeout=120)
    assert users[1].returncode == 0
    assert not answers(urls[1])


@pytest.mark.parametrize("left", ["{pid}", "{pid}\nnonsense", "", "\x00\x00"])
def test_after_a_power_cut_a_stranger_s_process_is_left_alone(folder: Path, left: str) -> None:
    """Its number stands in postmaster.pid now, or the file was cut off."""
    with embedded_postgresql(folder):
        text = (folder / "postmaster.pid").read_text()
        postmaster = psutil.Process(int(text.split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            # PostgreSQL's other processes end by themselves once the first one is gone.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=60)
        bystander = subprocess.Popen(["sleep", "300"])
        rest = text.partition("\n")[2] if left == "{pid}" else ""
        (folder / "postmaster.pid").write_text(left.format(pid=bystander.pid) + ("\n" + rest if rest else ""))
    try:
        assert bystander.poll() is None
        with embedded_postgresql(folder) as url:
            assert answers(url)
            assert bystander.poll() is None
        assert not answers(url)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_database_clock(folder: Path) -> None:
    with database_url(settings(folder)) as url, connect(url) as connection:
        assert abs(clock(connection) - datetime.now(UTC)) < timedelta(seconds=5)


def test_keys_stay_closed_and_are_checked_once_it_runs(folder: Path) -> None:
    configured = settings(folder)
    KeyFolder(configured.key_folder).create(token_sequence=1)
    with database_url(configured) as url:
        assert answers(url)
        assert stat.S_IMODE(configured.key_folder.stat().st_mode) == 0o700
    configured.key_folder.chmod(0o755)
    with pytest.raises(KeyFolderProblem, match="chmod 700"), database_url(configured):
        pytest.fail("it must not be used")
    assert not answers(url)
    configured.key_folder.chmod(0o700)


def test_data_in_the_key_folder_is_refused(folder: Path) -> None:
    inside = folder.parent / "keys" / "data"
    with pytest.raises(DatabaseProblem, match="key folder"), database_url(settings(inside, key_folder=str(inside.parent))):
        pytest.fail("it must not start")
    assert not inside.exists()


def test_another_database_is_taken_as_it_is() -> None:
    url = "postgresql://somebody@db.example/name"
    with database_url(settings(Path("/nowhere"), database=url)) as found:
        assert found == url


def test_a_database_that_is_not_there_is_told_without_its_password() -> None:
    url = f"postgresql://u:hunter2@/name?host={tempfile.gettempdir()}/nowhere"
    with pytest.raises(DatabaseProblem, match="is not reached") as caught, connect(url):
        pytest.fail("there is nothing to connect to")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EmbeddedDatabaseProblem, match="make it writable"), embedded_postgresql(tmp_path / "data"):
        pytest.fail("it must not start")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another user")
def test_folders_above_are_opened_for_passing_through_and_no_further(folder: Path) -> None:
    folder.parent.chmod(0o700)
    assert folders_to_open(folder) == [folder.parent]
    with embedded_postgresql(folder) as url:
        assert answers(url)
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o711
    assert folders_to_open(folder) == []


def test_a_database_that_does_not_exist_is_not_made(folder: Path) -> None:
    missing = folder.parent / "missing"
    with pytest.raises(DatabaseProblem, match="missing does not exist"), database_url(settings(missing)):
        pytest.fail("there is none")
    assert not list(folder.parent.glob("missing*"))


def test_data_of_something_else(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedDatabaseProblem, match="does not start"), embedded_postgresql(other):
        pytest.fail("it must not start")
