"""Command lines as Go programs read them; a flag that the real program does not have ends it, as it does there."""

from __future__ import annotations

from .checks import die, need

Flags = dict[str, str]


def parse(arguments: list[str], known: str, *, booleans: str = "", required: str = "") -> Flags:
    """The flags by name, without dashes; a boolean's value is `true` when it has none.

    Args:
        known: names of flags that have a value, in one text.
        booleans: names of those that need none.
        required: names of those that must be there and not empty.
    """
    found: Flags = {}
    waiting = list(arguments)
    with_value, alone = set(known.split()), set(booleans.split())
    while waiting:
        word = waiting.pop(0)
        need(word.startswith("-"), f"unexpected argument {word!r}")
        name, equals, value = word.lstrip("-").partition("=")
        need(name in with_value | alone, f"unknown flag: {word}")
        need(name not in found, f"the flag --{name} is given twice")
        if not equals and name in alone:
            value = "true"
        elif not equals:
            need(waiting and not waiting[0].startswith("-"), f"flag needs an argument: --{name}")
            value = waiting.pop(0)
        found[name] = value
    for name in required.split():
        need(found.get(name), f"the flag --{name} is missing or empty")
    return found


def whole(flags: Flags, name: str, default: int) -> int:
    """A flag's whole number."""
    text = flags.get(name, str(default))
    if not text.isdigit():
        die(f"--{name}={text} is no number")
    return int(text)
