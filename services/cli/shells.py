"""Environment variables as the user's shell sets them, ready for its `eval`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath


class Shell(StrEnum):
    """A family of shells."""

    SH = "sh"
    CSH = "csh"
    FISH = "fish"
    POWERSHELL = "powershell"


_BY_PROGRAM = {"csh": Shell.CSH, "tcsh": Shell.CSH, "fish": Shell.FISH, "pwsh": Shell.POWERSHELL}


def shell_of(program: str | None) -> Shell:
    """The family of a shell by its path, as in `$SHELL`; what is not known is a Bourne shell."""
    return _BY_PROGRAM.get(PurePath(program or "sh").name, Shell.SH)


def assignments(shell: Shell, variables: Mapping[str, str | None]) -> str:
    """One line a variable; None takes it out of the environment."""
    return "".join(f"{_assignment(shell, name, value)}\n" for name, value in variables.items())


def evaluated(shell: Shell, command: str) -> str:
    """How that shell runs what a command prints."""
    match shell:
        case Shell.SH:
            return f'eval "$({command})"'
        case Shell.CSH:
            return f"eval `{command}`"
        case Shell.FISH:
            return f"{command} | source"
        case Shell.POWERSHELL:
            return f"{command} | Out-String | Invoke-Expression"


def _assignment(shell: Shell, name: str, value: str | None) -> str:
    match shell:
        case Shell.SH:
            return f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        case Shell.CSH:  # the semicolon is for `eval`, which joins the lines
            return f"unsetenv {name};" if value is None else f"setenv {name} {_csh(value)};"
        case Shell.FISH:
            return f"set -e {name}" if value is None else f"set -gx {name} {_fish(value)}"
        case Shell.POWERSHELL:
            absent = f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
            return absent if value is None else f"$Env:{name} = '{value.replace(chr(39), 2 * chr(39))}'"


def _csh(value: str) -> str:
    return shlex.quote(value).replace("!", "\\!")  # history is expanded within quotes too


def _fish(value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"
