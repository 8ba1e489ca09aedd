"""Answers from stored JSON texts: nothing is decoded, only the base URL is put in."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from starlette.responses import Response

from shared.db.repositories.documents import PLACEHOLDER, Document

_JSON = "application/json"


def one(text: str, base_url: str, *, status: int = 200, location: str | None = None) -> Response:
    """One document."""
    headers = {} if location is None else {"Location": location}
    return Response(text.replace(PLACEHOLDER, base_url), status, headers, _JSON)


def many(name: str, documents: Sequence[Document], base_url: str, next_url: str | None) -> Response:
    """A list of documents. The base URL holds nothing that JSON would escape (see `door.base_url_of`)."""
    following = "" if next_url is None else f',"next":{orjson.dumps(next_url).decode()}'
    text = f'{{"{name}":[{",".join(document.text for document in documents)}]{following}}}'
    return Response(text.replace(PLACEHOLDER, base_url), 200, None, _JSON)
