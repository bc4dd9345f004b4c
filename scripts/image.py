"""Builds the container image with the engine that is at hand, and runs commands in it: make image, make check-image.

Docker (with BuildKit), Podman or Buildah. ENGINE names one, options of its own included; otherwise the first that works is taken.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
KNOWN = ("docker", "podman", "buildah")
TAG = "tallystick:0.1.0"
LOOK_SECONDS = 30
RUN_SECONDS = 120


class NoEngine(Exception):  # noqa: N818 - it says what there is not
    """No engine works here; the text says why, for each."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that builds and runs images."""

    command: tuple[str, ...]
    """The program, and options that go before each of its subcommands."""

    @property
    def name(self) -> str:
        """Which of KNOWN it is."""
        return Path(self.command[0]).name

    @classmethod
    def find(cls, named: str = "") -> Engine:
        """The engine in `named`, or else the first of KNOWN that works. Raises NoEngine."""
        problems = []
        for command in [tuple(shlex.split(named))] if named else [(name,) for name in KNOWN]:
            engine = cls(command)
            problem = engine._problem()
            if not problem:
                return engine
            problems.append(f"{engine.name} {problem}")
        raise NoEngine(f"no container engine: {'; '.join(problems)}. Install one, or name one that works: make image ENGINE=…")

    def _problem(self) -> str:
        if self.name not in KNOWN:
            return f"is none of {', '.join(KNOWN)}"
        if not shutil.which(self.command[0]):
            return "is not installed"
        try:
            asked = subprocess.run([*self.command, "info"], capture_output=True, text=True, timeout=LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            return f"did not answer within {LOOK_SECONDS} seconds"
        # Docker's program is often there without its daemon.
        return "" if asked.returncode == 0 else f"does not work: {_last_line(asked.stderr)}"

    def build(self, tag: str, options: Sequence[str]) -> int:
        """Builds the image from this checkout; returns the engine's exit status."""
        verb = ["bud"] if self.name == "buildah" else ["build"]
        # Docker finds the list of what is left out by its name. The other two have to be told, and would write an image in the
        # OCI format, which has no HEALTHCHECK.
        told = [] if self.name == "docker" else ["--format", "docker", "--ignorefile", "docker/Dockerfile.dockerignore"]
        command = [*self.command, *verb, *told, "--file", "docker/Dockerfile", "--tag", tag, *options, "."]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, "DOCKER_BUILDKIT": "1"}).returncode

    def run(self, tag: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in a new container of the image, without a network, and removes the container."""
        if self.name != "buildah":
            options = [
                "--rm",
                "--pull",
                "never",
                "--network",
                "none",
                "--read-only",
                "--cap-drop",
                "ALL",
                "--entrypoint",
                command[0],
            ]
            return self._ask("run", *options, tag, *command[1:])
        made = self._ask("from", "--pull-never", tag)
        if made.returncode != 0:
            return made
        container = made.stdout.strip()
        try:
            return self._ask("run", container, "--", *command)
        finally:
            self._ask("rm", container)

    def inspect(self, tag: str) -> dict[str, Any]:
        """The configuration of the image, as Docker has it: User, Healthcheck and so on."""
        asked = self._ask("inspect", "--type", "image", tag)
        asked.check_returncode()
        found = json.loads(asked.stdout)
        if self.name == "buildah":
            return dict(found["Docker"]["config"])
        # Podman has the health check beside the configuration.
        beside = {name: found[0][name] for name in ("Healthcheck",) if found[0].get(name)}
        return {**found[0]["Config"], **beside}

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=RUN_SECONDS)


def build_options(given: argparse.Namespace) -> list[str]:
    """The engine's options for what was given. Raises ValueError for what the image would keep, or what is not there."""
    options = []
    for name in ("PYTHON", "PIP_INDEX_URL", "CONSTRAINTS"):
        value = getattr(given, name.lower())
        if value:
            options += ["--build-arg", f"{name}={value}"]
    index = urlsplit(given.pip_index_url)
    if index.username or index.password:
        raise ValueError(
            "--pip-index-url holds a password, and engines keep build arguments: write a pip.conf, and give --pip-conf"
        )
    if given.constraints and not ((ROOT / given.constraints).is_file() and Path(given.constraints).match("constraints*.txt")):
        raise ValueError(f"--constraints {given.constraints}: put the file beside constraints.txt, with a name constraints-….txt")
    for secret, file in (("ca", given.ca), ("pip_conf", given.pip_conf)):
        if file:
            if not Path(file).is_file():
                raise ValueError(f"--{secret.replace('_', '-')} {file}: there is no such file")
            options += ["--secret", f"id={secret},src={Path(file).resolve()}"]
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds."""
    parser = argparse.ArgumentParser(prog="image", description="Build the image of a Tallystick server.")
    parser.add_argument("--engine", default="", help="docker, podman or buildah, with options of its own if need be")
    parser.add_argument("--tag", default=TAG)
    parser.add_argument("--python", default="", help="the base image")
    parser.add_argument("--pip-index-url", default="", help="an index that asks for no password")
    parser.add_argument("--pip-conf", default="", help="a pip.conf, for the build alone")
    parser.add_argument("--ca", default="", help="authorities in PEM that pip trusts, for the build alone")
    parser.add_argument("--constraints", default="", help="another file of versions")
    given = parser.parse_args(arguments)
    try:
        options = build_options(given)
        engine = Engine.find(given.engine)
    except (ValueError, NoEngine) as problem:
        sys.stderr.write(f"image: {problem}\n")
        return 1
    return engine.build(given.tag, options)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it says nothing"


if __name__ == "__main__":
    sys.exit(main())
