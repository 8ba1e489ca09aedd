"""Barbican v1: secrets."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.conversations.network import NOBODY
from scripts.record_answers.talk import Talk

V: Final = "/v1"


def secrets(talk: Talk) -> None:
    """A secret from its making to its end, and who may have it."""
    talk.ask("GET", "/", who="nobody")
    talk.ask("GET", f"{V}/secrets", who="nobody")
    talk.ask("GET", f"{V}/secrets", who="wrong-token")
    body = {"name": "rec-secret", "secret_type": "opaque", "payload": "YWJj"}
    body |= {"payload_content_type": "application/octet-stream", "payload_content_encoding": "base64"}
    talk.ask("POST", f"{V}/secrets", body)
    made = talk.ask("POST", f"{V}/secrets", body, who="admin").body["secret_ref"].rsplit("/", 1)[-1]
    talk.remove(f"{V}/secrets/{made}", who="admin")
    talk.ask("GET", f"{V}/secrets/{made}", who="admin")
    talk.ask("GET", f"{V}/secrets/{made}/payload", who="admin", headers={"Accept": "application/octet-stream"})
    talk.ask("GET", f"{V}/secrets/{made}/payload", who="admin", headers={"Accept": "text/plain"})
    talk.ask("GET", f"{V}/secrets?name=rec-secret", who="admin")
    talk.ask("GET", f"{V}/secrets?name=rec-none", who="admin")
    talk.ask("GET", f"{V}/secrets/{made}", who="other")
    talk.ask("GET", f"{V}/secrets/{made}/payload", who="other", headers={"Accept": "application/octet-stream"})
    talk.ask("DELETE", f"{V}/secrets/{made}", who="other")
    talk.ask("GET", f"{V}/secrets/{NOBODY}", who="admin")
    talk.ask("GET", f"{V}/secrets/{NOBODY}/payload", who="admin", headers={"Accept": "application/octet-stream"})
    talk.ask("POST", f"{V}/secrets", body | {"payload_content_encoding": "nonsense"}, who="admin")
    talk.ask("POST", f"{V}/secrets", "no JSON", who="admin")
    second = talk.ask("POST", f"{V}/secrets", body, who="admin").body["secret_ref"].rsplit("/", 1)[-1]
    talk.remove(f"{V}/secrets/{second}", who="admin")
    talk.ask("GET", f"{V}/secrets?name=rec-secret&limit=1", who="admin")
    talk.ask("DELETE", f"{V}/secrets/{made}", who="admin")
    talk.ask("DELETE", f"{V}/secrets/{made}", who="admin")
    talk.ask("GET", f"{V}/secrets/{made}", who="admin")


CONVERSATIONS: Final = {"secrets": secrets}
