"""Glance v2, as our client uses it."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.conversations.network import NOBODY
from scripts.record_answers.talk import Talk

V: Final = "/v2"


def images(talk: Talk) -> None:
    """Images by id and by name."""
    image = talk.named("<image:coreos>")
    talk.ask("GET", "/", who="nobody", sample=("versions",))
    talk.ask("GET", f"{V}/images", who="nobody")
    talk.ask("GET", f"{V}/images", who="wrong-token")
    talk.ask("GET", f"{V}/images", sample=("images",))
    talk.ask("GET", f"{V}/images?limit=1", sample=("images", "next"))
    talk.ask("GET", f"{V}/images?limit=1&marker={NOBODY}")
    talk.ask("GET", f"{V}/images?name=coreos", sample=("images",))
    talk.ask("GET", f"{V}/images?name=none")
    talk.ask("GET", f"{V}/images/{image}")
    talk.ask("GET", f"{V}/images/{NOBODY}")
    talk.ask("GET", f"{V}/images/nonsense")


CONVERSATIONS: Final = {"images": images}
