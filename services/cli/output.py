"""What commands print: a table for people, JSON or YAML for programs. Standard output has this and nothing else.

The fields of JSON and YAML are those of the API's bodies (`shared.contracts.http`), so they are as stable as the API.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import orjson
import typer
import yaml
from pydantic import BaseModel
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_T = TypeVar("_T")

_WIDE: Final = 4096
_CONTROLS: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ") | {ord("\n"): "\n"}


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[
    Format, typer.Option("--output", "-o", metavar="FORMAT", help="table for people, json or yaml for programs.")
]


def show(data: object, output: Format, table: Callable[[], RenderableType]) -> None:
    """Print data: pydantic bodies, or lists and mappings of such; `table` makes their picture for people."""
    match output:
        case Format.TABLE:
            _draw(screen(), table())
        case Format.JSON:
            typer.echo(orjson.dumps(_plain(data), option=orjson.OPT_INDENT_2))
        case Format.YAML:
            typer.echo(yaml.safe_dump(_plain(data), sort_keys=False, allow_unicode=True), nl=False)


def show_next(data: object, output: Format, line: RenderableType | None) -> None:
    """Print one of a series as it comes: a line for people (None: nothing), a line of JSON, or a document of YAML."""
    match output:
        case Format.TABLE:
            if line is not None:
                screen().print(line, soft_wrap=True)
        case Format.JSON:
            typer.echo(orjson.dumps(_plain(data)))
        case Format.YAML:
            typer.echo("---\n" + yaml.safe_dump(_plain(data), sort_keys=False, allow_unicode=True), nl=False)
    sys.stdout.flush()


def _draw(console: Console, picture: RenderableType) -> None:
    """To a terminal as it is; into a pipe or a file without the spaces that fill up each line."""
    if console.is_terminal:
        console.print(picture)
        return
    with console.capture() as drawn:
        console.print(picture)
    typer.echo("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()), nl=False)


def rows(items: Iterable[_T], columns: Mapping[str, Callable[[_T], object]]) -> Table:
    """A table with a line for each item."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for item in items:
        table.add_row(*(plain_text(_words(value(item))) for value in columns.values()))
    return table


def facts(pairs: Mapping[str, object]) -> Table:
    """A table of one thing's properties."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        table.add_row(name, plain_text(_words(value)))
    return table


def plain_text(words: str) -> Text:
    """Somebody else's words: no markup is looked for in them, and they send the terminal no commands."""
    return Text(harmless(words))


def harmless(words: str) -> str:
    """Somebody else's words without what a terminal would obey."""
    return words.translate(_CONTROLS)


def screen(*, stderr: bool = False) -> Console:
    """Where people read. What goes into a pipe is as wide as it is long, so that no id is torn."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(highlight=False, stderr=stderr, width=None if stream.isatty() else _WIDE)


def _plain(data: object) -> object:
    if isinstance(data, BaseModel):
        return data.model_dump(mode="json")
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [_plain(one) for one in data]
    return data


def _words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return "\n".join(f"{key}={_words(one)}" for key, one in value.items())
        case str():
            return value
        case Sequence():
            return "\n".join(_words(one) for one in value)
        case _:
            return str(value)
