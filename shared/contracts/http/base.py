"""What all bodies share: unknown keys are refused, null means absent, and errors are Magnum's sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from shared.domain.errors import InvalidInput

_SHOWN = 255
_FIELD = "Invalid input for field/attribute {field}. Value: '{value}'. {why}"


class WireBody(BaseModel):
    """A request's body. `argument` is what Magnum calls it in its sentences."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    argument: ClassVar[str]
    read_only: ClassVar[frozenset[str]] = frozenset()
    """Attributes that answers have and requests may not set."""

    @classmethod
    def read(cls, data: object) -> Self:
        """The body in decoded JSON.

        Raises:
            InvalidInput: with the sentence of contract §1.7.
        """
        if not isinstance(data, dict):
            raise bad(cls.argument, data, f"Value not a valid dict: {_short(data)}")
        given = {key: value for key, value in data.items() if value is not None}
        for key in sorted(cls.read_only & given.keys()):
            raise bad(key, given[key], "Cannot set read only field.")
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise explain(error, cls.argument) from None


Body = TypeVar("Body", bound=WireBody)


def bad(field: str, value: object, why: str) -> InvalidInput:
    """The sentence about one field, its value and what is allowed."""
    return InvalidInput(_FIELD.format(field=field, value=_short(value), why=why), field=field)


def explain(error: ValidationError, argument: str) -> InvalidInput:
    """Magnum's sentence for the first thing that is wrong; unknown keys come first, as there."""
    found = error.errors(include_url=False)
    unknown = [str(one["loc"][-1])[:_SHOWN] for one in found if one["type"] == "extra_forbidden"]
    if unknown:
        return InvalidInput(f"Unknown attribute for argument {argument}: {', '.join(unknown[:10])}", field=unknown[0])
    first = found[0]
    field = str(first["loc"][0]) if first["loc"] else argument
    return bad(field, None if first["type"] == "missing" else first["input"], _why(first))


def _why(error: ErrorDetails) -> str:
    context: Mapping[str, object] = error.get("ctx", {})
    texts = {
        "missing": "Mandatory field missing.",
        "string_pattern_mismatch": "Value should match the pattern {pattern}",
        "string_too_long": "Value should have a maximum character requirement of {max_length}",
        "string_too_short": "Value should have a minimum character requirement of {min_length}",
        "greater_than_equal": "Value should be greater or equal to {ge}",
        "less_than_equal": "Value should be lower or equal to {le}",
        "string_type": "Wrong type. Expected '<class 'str'>', got '{got}'",
    }
    if error["type"] == "literal_error":
        return "Value should be one of: " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
    text = texts.get(error["type"])
    return text.format(**context, got=type(error["input"])) if text else error["msg"]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
