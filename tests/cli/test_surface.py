"""The command line itself: help, completion, questions, colours, and the page that documents it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from services.cli.main import app
from services.cli.problems import MEANING
from tests.cli.terminal import Terminal, ended
from tests.clients.support.cloud import Cloud

PAGE = Path(__file__).parents[2] / "docs" / "user-guide" / "command-line.md"


def commands(group: TyperGroup, name: str = "jeroboam") -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Every command and group with its whole name."""
    yield name, group
    for word, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{name} {word}")
        else:
            assert isinstance(command, TyperCommand)
            yield f"{name} {word}", command


def whole() -> TyperGroup:
    found = typer.main.get_command(app)
    assert isinstance(found, TyperGroup)
    return found


def test_every_command_and_option_has_help() -> None:
    for name, command in commands(whole()):
        assert command.help, name
        for option in command.params:
            assert getattr(option, "help", None), f"{name}: {option.name}"


def test_every_command_is_in_the_guide() -> None:
    page = PAGE.read_text()
    for name, command in commands(whole()):
        if isinstance(command, TyperCommand):
            assert f"`{name}" in page, name


def test_the_guide_and_the_help_have_the_same_exit_statuses(terminal: Terminal) -> None:
    helped = terminal.ok("--help").out
    page = PAGE.read_text()
    for code, meaning in MEANING.items():
        assert meaning in helped
        assert re.search(rf"^\| `{code.value}` \|", page, re.MULTILINE), code


def test_it_tells_its_version(terminal: Terminal) -> None:
    project = tomllib.loads((PAGE.parents[2] / "pyproject.toml").read_text())["project"]
    assert terminal.ok("--version").out == f"{project['name']} {project['version']}\n"


def test_the_shell_completes_commands_and_names(terminal: Terminal, bay: str) -> None:
    def completed(line: str) -> list[str]:
        asked = {"_JEROBOAM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        with subprocess.Popen(
            [sys.executable, "-c", "from services.cli.main import app; app(prog_name='jeroboam')"],
            env={**terminal.environment("demo"), **asked},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            return ended(process)[0].split()

    assert {"resize", "rotate"} <= set(completed("jeroboam bay r"))
    assert completed(f"jeroboam bay show {bay[:-1]}") == [bay]


@pytest.mark.parametrize(("answer", "left"), [("n", True), ("y", False)])
def test_a_deletion_is_asked_about_at_a_terminal(
    terminal: Terminal, cloud: Cloud, model: str, answer: str, left: bool
) -> None:
    uuid = cloud.bay("asked", model)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", "bay", "delete", uuid],
        env={**terminal.environment("demo"), "TERM": "xterm", "COLUMNS": "200"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        out, err = ended(process)
    os.close(ours)
    os.close(theirs)
    assert "Delete the bay asked" in err
    assert (process.returncode, out) == (1 if left else 0, ""), err
    assert cloud.settled(uuid) == ("CREATE_COMPLETE" if left else "")
    if left:
        cloud.remove(uuid)


def test_there_is_no_colour_where_none_is_wanted(terminal: Terminal) -> None:
    def shown(**variables: str) -> str:
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "services.cli", "bay", "show", "nobody"],
            env={**terminal.environment("demo"), "TERM": "xterm-256color", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            said = b""
            while chunk := _read(ours):
                said += chunk
            process.wait()
        os.close(ours)
        return said.decode()

    coloured, plain = shown(), shown(NO_COLOR="1")
    assert "Failed:" in coloured
    assert "\u001b[1;31m" in coloured
    assert "Failed:" in plain
    assert "31m" not in plain


def _read(handle: int) -> bytes:
    """What a terminal says; nothing once who wrote to it has gone, which Linux calls an error."""
    try:
        return os.read(handle, 4096)
    except OSError:
        return b""
