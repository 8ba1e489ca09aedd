"""What Heat and Nova refuse for its size, judged before anything is accepted.

Heat's defaults; an operator who raised them passes others. Heat compares templates (the outermost and each nested one)
with max_template_size, in characters; other files only count into the request. It counts the resources of the whole
tree against max_resources_per_stack, again at each nested stack that it adds, so that a bay that is too large would
fail half-made. Nova counts user-data after base64.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from shared.domain.errors import InvalidInput
from shared.drivers.contract import RenderedStack
from shared.drivers.footprint import Footprint
from shared.drivers.rendering import USER_DATA_LIMIT

_ENVELOPE: Final = 2048
"""Name, tags, mark and options of a request, with the brackets around all."""
_TEMPLATES: Final = (".yaml", ".yml", ".template")


@dataclass(frozen=True, kw_only=True)
class HeatLimits:
    """The limits; a negative one is none, as in Heat."""

    template_characters: int = 524_288
    """max_template_size."""
    resources: int = 1000
    """max_resources_per_stack."""
    request_bytes: int = 1_048_576
    """max_json_body_size."""
    user_data_bytes: int = USER_DATA_LIMIT
    """Nova's; after base64."""


DEFAULTS: Final = HeatLimits()


def check_size(rendered: RenderedStack, counted: Footprint, limits: HeatLimits = DEFAULTS) -> None:
    """Refuse a stack that Heat or Nova would refuse for its size. Sizes are judged from above where they are not known.

    Raises:
        InvalidInput: with what there is too much of, in figures.
    """
    resources = counted.total + counted.left_out
    if _over(resources, limits.resources):
        raise InvalidInput(
            f"The bay is too large for one Heat stack: it would have {resources} resources, and Heat takes "
            f"{limits.resources}. Ask for fewer nodes.",
            field="node_count",
        )
    texts = {"the template": rendered.template}
    texts |= {name: text for name, text in rendered.files.items() if name.endswith(_TEMPLATES)}
    for name, text in texts.items():
        if _over(len(text), limits.template_characters):
            raise InvalidInput(
                f"The bay's {name.removeprefix('the ')} would have {len(text)} characters, and Heat takes "
                f"{limits.template_characters}."
            )
    size = request_bytes(rendered)
    if _over(size, limits.request_bytes):
        raise InvalidInput(
            f"The request for the bay's Heat stack would have {size} bytes, and Heat takes {limits.request_bytes}. "
            "Shorten the labels, proxies or key of the bay."
        )
    if _over(counted.user_data_bytes, limits.user_data_bytes):
        raise InvalidInput(
            f"The user-data of the bay's servers would have up to {counted.user_data_bytes} bytes after base64, and "
            f"Nova takes {limits.user_data_bytes}. Shorten the proxies or the key of the bay."
        )


def request_bytes(rendered: RenderedStack) -> int:
    """How long the request that creates the stack is at most: as JSON that escapes whatever is not ASCII."""
    parts = (rendered.template, rendered.files, rendered.environment, rendered.parameters)
    return _ENVELOPE + sum(len(json.dumps(part)) for part in parts)


def _over(size: int, limit: int) -> bool:
    return 0 <= limit < size
