"""Answers from stored JSON texts: nothing is decoded, only the base URL and the key of the stack are put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from starlette.responses import Response

from services.api.request import Facts
from shared.db.repositories.documents import PLACEHOLDER, STACK_KEY, Document

_JSON: Final = "application/json"
_CLUSTER_ID_FROM: Final = 13
"""The microversion from which a cluster's `stack_id` is called `cluster_id` (contract §1.5)."""


def one(text: str, facts: Facts, *, status: int = 200, location: str | None = None) -> Response:
    """One document."""
    headers = {} if location is None else {"Location": location}
    return Response(filled(text, facts), status, headers, _JSON)


def many(name: str, documents: Sequence[Document], facts: Facts, next_url: str | None) -> Response:
    """A list of documents. The base URL holds nothing that JSON would escape (see `door.base_url_of`)."""
    following = "" if next_url is None else f',"next":{orjson.dumps(next_url).decode()}'
    text = f'{{"{name}":[{",".join(document.text for document in documents)}]{following}}}'
    return Response(filled(text, facts), 200, None, _JSON)


def filled(text: str, facts: Facts) -> str:
    """The text as this caller reads it."""
    key = "cluster_id" if facts.version >= _CLUSTER_ID_FROM else "stack_id"
    return text.replace(PLACEHOLDER, facts.base_url).replace(STACK_KEY, key)
