"""The objects of a Kubernetes bay: what its etcd would hold."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator

from cloudsim.coe.kubernetes.replies import Object

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Objects:
    """Objects by resource, namespace and name, each with the revision of its last change.

    They are kept without `kind` and `apiVersion`, which depend on who asks.
    """

    def __init__(self, stamp: Callable[[], str]) -> None:
        self.stamp = stamp
        """Now, as Kubernetes writes it."""
        self.revision = 1
        self._kept: dict[str, dict[tuple[str, str], Object]] = {}

    def all(self, resource: str, namespace: str | None = None) -> list[Object]:
        """By namespace and name, as etcd lists; of one namespace when given."""
        found = self._kept.get(resource, {})
        return [found[key] for key in sorted(found) if namespace in (None, key[0])]

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """One of them."""
        return self._kept.get(resource, {}).get((namespace, name))

    def add(self, resource: str, namespace: str, made: Object) -> Object:
        """Keep a new one; its metadata is completed."""
        meta = made.setdefault("metadata", {})
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + self.suffix()
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.stamp()}
        meta |= {"namespace": namespace} if namespace else {}
        if resource not in ("nodes", "pods", "namespaces", "leases"):
            meta["generation"] = 1
        self._kept.setdefault(resource, {})[namespace, meta["name"]] = made
        return self.touch(made)

    def replace(self, resource: str, old: Object, new: Object) -> Object:
        """Change one; what its metadata says about itself stays."""
        meta = old["metadata"]
        kept = {key: meta[key] for key in ("name", "namespace", "uid", "creationTimestamp") if key in meta}
        new["metadata"] = {**(new.get("metadata") or {}), **kept, "resourceVersion": meta["resourceVersion"]}
        if "generation" in meta:
            new["metadata"]["generation"] = meta["generation"] + (new.get("spec") != old.get("spec"))
        if new == old:
            return old
        self._kept[resource][meta.get("namespace", ""), meta["name"]] = new
        return self.touch(new)

    def touch(self, changed: Object) -> Object:
        """It has changed."""
        self.revision += 1
        changed["metadata"]["resourceVersion"] = str(self.revision)
        return changed

    def status(self, changed: Object, **values: object) -> None:
        """Set parts of its status, if they are others than before."""
        status = changed.setdefault("status", {})
        if any(status.get(key) != value for key, value in values.items()):
            status |= values
            self.touch(changed)

    def drop(self, resource: str, gone: Object) -> None:
        """Forget one; one of the same name that came after it stays."""
        meta = gone["metadata"]
        kept, key = self._kept.get(resource, {}), (meta.get("namespace", ""), meta["name"])
        if key in kept and kept[key]["metadata"]["uid"] == meta["uid"]:
            del kept[key]
            self.revision += 1

    def suffix(self, length: int = 5) -> str:
        """What makes a generated name unlike the others."""
        number, found = uuid.uuid4().int, ""
        for _ in range(length):
            number, digit = divmod(number, len(_ALPHABET))
            found += _ALPHABET[digit]
        return found

    def owned(self, resource: str, owner: Object) -> Iterator[Object]:
        """Those of a resource that belong to an object."""
        uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
        for one in self.all(resource, namespace):
            if uid == owner_uid(one):
                yield one


def owner_uid(found: Object) -> str | None:
    """The uid of what it belongs to."""
    owner = owner_of(found)
    return str(owner["uid"]) if owner else None


def owner_of(found: Object) -> Object | None:
    """The reference to what controls it."""
    for reference in found["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def labels_of(found: Object) -> dict[str, str]:
    """Its labels."""
    return found["metadata"].get("labels") or {}


def condition(found: Object, kind: str) -> Object:
    """Its condition of that type; empty when there is none."""
    return next((one for one in found.get("status", {}).get("conditions") or () if one["type"] == kind), {})


def set_condition(objects: Objects, found: Object, kind: str, status: str, reason: str = "", message: str = "") -> None:
    """Have a condition, with the time of its last change; nothing happens when it says so already."""
    old = condition(found, kind)
    told = {"status": status, **({"reason": reason} if reason else {}), **({"message": message} if message else {})}
    if {key: old.get(key) for key in ("status", "reason", "message") if key in old} == told:
        return
    since = old["lastTransitionTime"] if old.get("status") == status else objects.stamp()
    others = [one for one in found.setdefault("status", {}).get("conditions") or () if one["type"] != kind]
    found["status"]["conditions"] = [*others, {"type": kind, **told, "lastTransitionTime": since}]
    objects.touch(found)


def copied(found: Object) -> Object:
    """A copy that may be changed."""
    return copy.deepcopy(found)
