"""The kinds of value in a body, each as lenient as Magnum's (contract §1.7) and no further.

Numbers may come as text ("2") and booleans as words, because old clients and Horizon send them so. What Magnum crashes
on (a boolean called "maybe") is refused with a sentence. Whole numbers end where Postgres's `integer` ends.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

LARGEST: Final = 2**31 - 1
NAME_PATTERN: Final = r"^[a-zA-Z][a-zA-Z0-9_.-]*$"

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_TRUE = frozenset({"t", "true", "on", "y", "yes", "1"})
_FALSE = frozenset({"f", "false", "off", "n", "no", "0"})
_SCALARS = "(<class 'str'>, <class 'int'>, <class 'bool'>, <class 'float'>)"


def wrong(sentence: str, /, **context: object) -> PydanticCustomError:
    """An error whose sentence goes to the client as it is, with `{names}` filled from `context`."""
    return PydanticCustomError("magnum", sentence, context)


def integer(value: object) -> int:
    """A whole number, or one written as text."""
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise wrong("Wrong type. Expected '<class 'int'>', got '{got}'", got=str(type(value)))
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value.strip()):
            raise wrong("invalid literal for int() with base 10: {text}", text=repr(value))
        return int(value)
    if isinstance(value, float) and not value.is_integer():
        raise wrong("Wrong type. Expected '<class 'int'>', got '<class 'float'>'")
    return int(value)


def boolean(value: object) -> bool:
    """True or false, or one of the words that Magnum takes for them."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word not in _TRUE | _FALSE:
        raise wrong("Value should be one of: true, false")
    return word in _TRUE


def labels(value: object) -> dict[str, str]:
    """A flat map whose values become text: 1 is "1", true is "True"."""
    if not isinstance(value, dict):
        raise wrong("Value not a valid dict: {text}", text=str(value)[:255])
    for key, item in value.items():
        if not isinstance(item, str | int | float):
            raise wrong("Wrong type. Expected '{want}', got '{got}'", want=_SCALARS, got=str(type(item)))
        if not 1 <= len(key) <= 255:
            raise wrong("The name of a label should have 1 to 255 characters.")
    return {key: str(item) for key, item in value.items()}


def no_key(value: object) -> None:
    """`ssh_authorized_key` of the oldest clients: only null goes through, because keys come from `keypair_id`."""
    if value not in (None, ""):
        raise wrong("It is no longer taken: name a Nova key pair in keypair_id.")


Integer = Annotated[int, BeforeValidator(integer, json_schema_input_type=int | str)]
Count = Annotated[Integer, Field(ge=1, le=LARGEST)]
Natural = Annotated[Integer, Field(ge=0, le=LARGEST)]
Flag = Annotated[bool, BeforeValidator(boolean, json_schema_input_type=bool | str)]
Labels = Annotated[dict[str, str], BeforeValidator(labels, json_schema_input_type=dict[str, str | int | bool | float])]
Text255 = Annotated[str, Field(min_length=1, max_length=255)]
Loose255 = Annotated[str, Field(max_length=255)]
NoKey = Annotated[None, BeforeValidator(no_key, json_schema_input_type=None)]
