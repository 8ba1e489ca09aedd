"""What the sweeps cannot finish now: how long they keep at it, and what they say of it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from shared.domain.errors import JeroboamError

log = logging.getLogger(__name__)

OLDEST: Final = timedelta(hours=1)
"""What is older is taken up once in this time only: its master key was taken away, say, and may come back."""


def tell(what: str, ids: Sequence[UUID], outcomes: Sequence[object]) -> None:
    """Log those outcomes that are errors: one line for all with the same reason. Only for an error that is not ours
    there is a traceback."""
    reasons: defaultdict[str, list[UUID]] = defaultdict(list)
    for one, outcome in zip(ids, outcomes, strict=True):
        if isinstance(outcome, JeroboamError):
            reasons[str(outcome)].append(one)
        elif isinstance(outcome, Exception):
            log.error("%s: %s cannot be finished now", what, one, exc_info=outcome)
    for reason, waiting in reasons.items():
        log.warning("%d %s wait, as %s: %s", len(waiting), what, waiting[0], reason)
