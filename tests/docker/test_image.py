"""The container image as it is written: what the wheel is made of reaches the build, and what a build is given stays out of it."""

import argparse
import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from scripts import image

ROOT = Path(__file__).parents[2]
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
SOURCES = sorted({Path(path).parts[0] for path in [*WHEEL["packages"], *WHEEL["force-include"]]})
FILES = ["pyproject.toml", "constraints.txt", "constraints-ours.txt", "README.md", "LICENSE"]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
BUILD_STAGE, LAST_STAGE = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
COPIED = {name for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}
LET_THROUGH = {line[1:] for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}


@pytest.mark.parametrize("source", [*SOURCES, *FILES])
def test_every_source_of_the_wheel_is_copied_and_let_through(source: str) -> None:
    assert any(fnmatch(source, pattern) for pattern in COPIED)
    assert any(fnmatch(source, pattern) for pattern in LET_THROUGH)


def test_nothing_is_copied_or_let_through_that_is_no_source_of_the_wheel() -> None:
    for pattern in COPIED | LET_THROUGH:
        assert any(fnmatch(name, pattern) for name in [*SOURCES, *FILES]), pattern


def test_the_last_stage_takes_the_environment_alone() -> None:
    """What the first one was given (an index, authorities, the sources) is in no layer of the image."""
    assert re.findall(r"^COPY .+$", LAST_STAGE, re.MULTILINE) == ["COPY --from=build /opt/tallystick /opt/tallystick"]
    assert re.findall(r"^(?:ARG|ADD) .+$", LAST_STAGE, re.MULTILINE) == []
    assert "--mount" not in LAST_STAGE


def test_what_is_mounted_is_a_secret_and_never_copied() -> None:
    mounts = re.findall(r"--mount=(\S+)", BUILD_STAGE)
    assert mounts == ["type=secret,id=ca", "type=secret,id=pip_conf"]
    assert not re.search(r"\b(cp|cat|tee|mv)\b[^\n]*/run/secrets", DOCKERFILE)


def test_the_constraints_name_versions_and_nothing_of_this_machine() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line), line
        assert not line.startswith("tallystick")


def options(**given: str) -> list[str]:
    names = ("python", "pip_index_url", "pip_conf", "ca", "constraints")
    return image.build_options(argparse.Namespace(**{**dict.fromkeys(names, ""), **given}))


def test_what_a_build_is_given_becomes_arguments_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").touch()
    given = options(python="base:1", pip_index_url="https://index.example/simple", pip_conf=str(tmp_path / "pip.conf"))
    assert given == [
        *("--build-arg", "PYTHON=base:1", "--build-arg", "PIP_INDEX_URL=https://index.example/simple"),
        *("--secret", f"id=pip_conf,src={tmp_path}/pip.conf"),
    ]
    assert options() == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pip_index_url": "https://me:hidden@index.example/simple"}, "--pip-index-url holds a password"),
        ({"pip_index_url": "https://hidden@index.example/simple"}, "--pip-index-url holds a password"),
        ({"ca": "/nowhere/ca.pem"}, "--ca /nowhere/ca.pem: there is no such file"),
        ({"pip_conf": "/nowhere/pip.conf"}, "--pip-conf /nowhere/pip.conf: there is no such file"),
        ({"constraints": "constraints-nowhere.txt"}, "beside constraints.txt"),
        ({"constraints": "pyproject.toml"}, "beside constraints.txt"),
        ({"constraints": "/etc/hostname"}, "beside constraints.txt"),
    ],
)
def test_what_the_image_would_keep_or_lack_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        options(**given)
    assert "hidden" not in str(refused.value)


def test_without_an_engine_each_is_named_with_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client_alone = tmp_path / "docker"
    client_alone.write_text("#!/bin/sh\necho Server: >&2\necho Cannot connect to the daemon >&2\nexit 1\n")
    client_alone.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    assert image.main([]) == 1
    assert capsys.readouterr().err == (
        "image: no container engine: docker does not work: Cannot connect to the daemon; podman is not installed; buildah is not"
        " installed. Install one, or name one that works: make image ENGINE=…\n"
    )
    assert image.main(["--engine", "rkt --debug"]) == 1
    assert "rkt is none of docker, podman, buildah" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "verb"), [("docker", "build"), ("podman", "build"), ("buildah", "bud")])
def test_an_engine_is_told_what_it_does_not_do_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, verb: str
) -> None:
    program = tmp_path / name
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert image.main(["--engine", f"{name} --root x", "--tag", "t:1"]) == 0
    asked = (tmp_path / "asked").read_text().splitlines()[-1]
    assert asked.startswith(f"--root x {verb} ")
    assert asked.endswith("--file docker/Dockerfile --tag t:1 .")
    # Without the format the image has no HEALTHCHECK, without the list it is built from keys and histories that lie about.
    told = "--format docker --ignorefile docker/Dockerfile.dockerignore" in asked
    assert told == (name != "docker")


def test_make_passes_on_what_it_is_given() -> None:
    """Every option of the script has a variable, and one that is not set becomes no option of the engine's."""
    variables = {"ENGINE": "engine", "BASE": "python", "CA": "ca", "PIP_CONF": "pip_conf", "PIP_INDEX_URL": "pip_index_url"}
    variables |= {"CONSTRAINTS": "constraints", "IMAGE": "tag"}
    given = [f"{variable}=given {option}" for variable, option in variables.items()]
    ran = subprocess.run(["make", "--dry-run", "image", *given], cwd=ROOT, capture_output=True, text=True)
    command = shlex.split(ran.stdout.replace("\\\n", " "))
    assert dict(zip(command[2::2], command[3::2], strict=True)) == {
        f"--{option.replace('_', '-')}": f"given {option}" for option in variables.values()
    }
    readme = (ROOT / "docker" / "README.md").read_text()
    assert all(f"{variable}=" in readme for variable in variables if variable != "IMAGE")
