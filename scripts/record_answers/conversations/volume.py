"""Cinder v3, as our client and Heat's templates use it."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.conversations.network import NOBODY
from scripts.record_answers.talk import Talk


def versions(talk: Talk) -> None:
    """What is there without a token, and in whose project."""
    v = f"/v3/{talk.project()}"
    talk.ask("GET", "/", who="nobody")
    talk.ask("GET", f"{v}/types", who="nobody")
    talk.ask("GET", f"{v}/types", who="wrong-token")
    talk.ask("GET", f"{v}/types", sample=("volume_types",))
    talk.ask("GET", f"{v}/types?limit=1", sample=("volume_types",))
    talk.ask("GET", f"{v}/types/default")
    talk.ask("GET", f"{v}/types/{NOBODY}")
    talk.ask("GET", f"/v3/{talk.project('other')}/volumes/detail")
    talk.ask("GET", f"{v}/nonsense")


def volumes(talk: Talk) -> None:
    """Volumes from their making to their end."""
    v, made = f"/v3/{talk.project()}", []
    for name in ("rec-a", "rec-b"):
        body = {"volume": {"size": 1, "name": name, "metadata": {"jeroboam_bay": "x"}}}
        made.append(talk.ask("POST", f"{v}/volumes", body).body["volume"]["id"])
        talk.remove(f"{v}/volumes/{made[-1]}", gone=True)
        talk.ask("GET", f"{v}/volumes/{made[-1]}", until={"volume.status": "available"})
    talk.ask("GET", f"{v}/volumes/detail")
    talk.ask("GET", f"{v}/volumes/detail?limit=1&sort=name:asc")
    talk.ask("GET", f"{v}/volumes/detail?limit=1&sort=name:asc&marker={made[0]}")
    talk.ask("GET", f"{v}/volumes/detail?limit=1&sort=name:asc&marker={made[1]}")
    talk.ask("GET", f"{v}/volumes?name=rec-a")
    talk.ask("GET", f"{v}/volumes/{made[0]}", who="reader")
    talk.ask("DELETE", f"{v}/volumes/{made[0]}", who="reader")
    other = f"/v3/{talk.project('other')}"
    talk.ask("GET", f"{other}/volumes/{made[0]}", who="other")
    talk.ask("DELETE", f"{other}/volumes/{made[0]}", who="other")
    talk.ask("POST", f"{v}/volumes", {"volume": {"size": 0, "name": "rec-c"}})
    talk.ask("POST", f"{v}/volumes", {"volume": {"size": 1, "name": "rec-c", "volume_type": "none"}})
    talk.ask("POST", f"{v}/volumes", {"volume": {"size": 1, "name": "rec-c"}}, who="reader")
    talk.ask("POST", f"{v}/volumes", {"nonsense": {}})
    talk.ask("DELETE", f"{v}/volumes/{made[0]}")
    talk.ask("GET", f"{v}/volumes/{made[0]}", until={"status": 404})
    talk.ask("DELETE", f"{v}/volumes/{made[0]}")


def quotas(talk: Talk) -> None:
    """What a project may have, and more than that."""
    project = talk.project()
    v, by_admin = f"/v3/{project}", f"/v3/{talk.project('admin')}/os-quota-sets/{project}"
    talk.ask("PUT", by_admin, {"quota_set": {"volumes": 2, "gigabytes": 3}}, who="admin")
    talk.remove(by_admin, who="admin")
    made = talk.ask("POST", f"{v}/volumes", {"volume": {"size": 1, "name": "rec-a"}}).body["volume"]["id"]
    talk.remove(f"{v}/volumes/{made}", gone=True)
    talk.ask("GET", f"{v}/volumes/{made}", until={"volume.status": "available"})
    talk.ask("GET", f"{v}/os-quota-sets/{project}?usage=true")
    talk.ask("GET", f"{v}/os-quota-sets/{project}")
    talk.ask("GET", f"{v}/limits")
    talk.ask("GET", f"{v}/os-quota-sets/{talk.project('other')}?usage=true")
    talk.ask("PUT", f"{v}/os-quota-sets/{project}", {"quota_set": {"volumes": 9}})
    talk.ask("POST", f"{v}/volumes", {"volume": {"size": 5, "name": "rec-big"}})
    second = talk.ask("POST", f"{v}/volumes", {"volume": {"size": 1, "name": "rec-b"}}).body["volume"]["id"]
    talk.remove(f"{v}/volumes/{second}", gone=True)
    talk.ask("GET", f"{v}/volumes/{second}", until={"volume.status": "available"})
    talk.ask("POST", f"{v}/volumes", {"volume": {"size": 1, "name": "rec-c"}})


CONVERSATIONS: Final = {"versions": versions, "volumes": volumes, "quotas": quotas}
