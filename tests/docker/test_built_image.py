"""The image as it was built, with commands in it: make image, make check-image. Without an image there is nothing to try."""

import json
import os
from collections.abc import Callable
from subprocess import CompletedProcess
from textwrap import dedent
from typing import Any

import pytest
from scripts.image import Engine

from tallystick.server.storage import migration

IMAGE = os.environ.get("TEST_IMAGE", "")
pytestmark = pytest.mark.skipif(not IMAGE, reason="no image was named: make image, then make check-image")

Inside = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.find(os.environ.get("TEST_ENGINE", ""))


@pytest.fixture(scope="module")
def config(engine: Engine) -> dict[str, Any]:
    return engine.inspect(IMAGE)


@pytest.fixture
def inside(engine: Engine) -> Inside:
    """Runs a command in a container."""
    return lambda *command: engine.run(IMAGE, *command)


def python(inside: Inside, source: str) -> Any:
    """What a program prints in JSON, run by the image's own interpreter."""
    ran = inside("python", "-c", dedent(source))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_it_runs_the_program(inside: Inside) -> None:
    ran = inside("tallystickd", "--version")
    assert ran.stdout.startswith("tallystickd, version "), ran.stderr


def test_it_says_who_it_runs_as_and_how_it_is_watched(config: dict[str, Any]) -> None:
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["tallystickd"]
    assert config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/var/lib/tallystick"]
    assert list(config["ExposedPorts"]) == ["7443/tcp"]
    # Absent from an image in the OCI format.
    health = config["Healthcheck"]
    assert health["Test"][:2] == ["CMD", "python"]
    assert health["Retries"] == 4


def test_it_runs_as_that_user_and_cannot_change_the_program(inside: Inside) -> None:
    source = """
        import json, os, tallystick.server as program
        home = os.stat("/var/lib/tallystick")
        writable = [os.access(place, os.W_OK) for place in ("/opt/tallystick", program.__path__[0])]
        print(json.dumps([os.getuid(), os.getgid(), *writable, oct(home.st_mode & 0o777), home.st_uid]))
    """
    found = python(inside, source)
    assert found == [10001, 10001, False, False, "0o700", 10001]


def test_its_health_check_fails_where_nobody_listens_and_passes_where_somebody_does(inside: Inside, config: dict[str, Any]) -> None:
    test = config["Healthcheck"]["Test"]
    assert inside(*test[1:]).returncode == 1
    listening = """
        import socket, subprocess, sys
        with socket.create_server(("127.0.0.1", 7443)):
            sys.exit(subprocess.call(sys.argv[1:]))
    """
    ran = inside("python", "-c", dedent(listening), *test[1:])
    assert ran.returncode == 0, ran.stderr


def test_it_has_no_installer_and_no_compiler(inside: Inside) -> None:
    source = """
        import json, os, shutil, subprocess, sys
        interpreters = {sys.executable, os.path.realpath(sys.executable)}
        has = lambda interpreter, name: not subprocess.run([interpreter, "-c", "import " + name], capture_output=True).returncode
        modules = ["pip", "ensurepip", "setuptools", "wheel", "hatchling", "tallystick.server"]
        programs = ["pip", "pip3", "gcc", "cc", "c++", "clang", "make", "ld", "git", "curl", "wget"]
        print(json.dumps([
            sorted({name for name in modules if any(has(each, name) for each in interpreters)}),
            [program for program in programs if shutil.which(program)],
        ]))
    """
    # The one that must be there shows that the others would be found.
    assert python(inside, source) == [["tallystick.server"], []]


def test_it_carries_the_migrations_to_this_revision(inside: Inside) -> None:
    found = python(inside, "import json; from tallystick.server.storage import migration; print(json.dumps(migration.head()))")
    assert found == migration.head()


def test_it_holds_no_source_no_secret_and_nothing_of_the_build(inside: Inside) -> None:
    source = """
        import json, os
        tops = ("/source", "/wheel", "/run/secrets", "/root/.cache", "/root/.config", "/opt", "/var/lib/tallystick")
        walked = [os.path.join(folder, name) for top in tops for folder, _, names in os.walk(top) for name in names]
        stray = [path for path in walked if not path.startswith("/opt/tallystick/") or path.endswith((".key", "pip.conf"))]
        print(json.dumps([len(walked) > 100, stray]))
    """
    assert python(inside, source) == [True, []]


def test_nothing_that_the_build_was_given_is_in_its_environment(config: dict[str, Any]) -> None:
    names = {variable.partition("=")[0] for variable in config["Env"]}
    assert not {name for name in names if name.startswith("PIP_") or name in ("CONSTRAINTS", "SSL_CERT_FILE")}
