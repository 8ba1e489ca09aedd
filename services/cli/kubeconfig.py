"""A kubeconfig with everything inside, as kubectl reads it (kubernetes.io, "Organizing cluster access").

Cluster, user and context are named after the bay, so that the configurations of several bays fit into one file.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from services.cli.files import make_folder, put
from services.cli.problems import Problem
from services.cli.workspace import write_private

Entry = dict[str, object]


class NotMerged(Problem):
    """The file stays as it is; the message says why, `advice` what helps."""


@dataclass(frozen=True)
class Kubeconfig:
    """What one needs to speak to a bay's API server; PEM texts, which are empty where TLS is disabled.

    `authority_pem` may be several certificates, as during a rotation. `user` tells one bay's users apart.
    """

    name: str
    server: str
    authority_pem: str = ""
    certificate_pem: str = ""
    key_pem: str = field(default="", repr=False)
    user: str = "admin"

    @property
    def context(self) -> str:
        """Its context's name: the bay's, with the user where that is not the bay's administrator."""
        return self.name if self.user == "admin" else f"{self.name}-{self.user}"

    def text(self) -> str:
        """The content of a file with nothing else in it."""
        return _dumped(self._onto({}))

    def write(self, path: Path) -> None:
        """Write the file, 0600."""
        write_private(path, self.text())

    def merge(self, path: Path, *, force: bool = False) -> str | None:
        """Put this into an existing file (or a new one) beside what is there, and make it the current context.

        Returns the context that was the current one. The file is locked as kubectl locks it and replaced as a whole;
        comments in it are lost, as with kubectl.

        Raises:
            NotMerged: the file is no kubeconfig, somebody writes it now, or an entry in it has one of our names and is
                something else's, which only `force` replaces.
        """
        place = path.resolve()  # a link stays a link
        make_folder(place.parent)
        with _locked(place):
            there = _read(place)
            taken = self._taken(there)
            if taken is not None and not force:
                advice = "Replace it with --force, or leave --merge out and use the file of its own."
                raise NotMerged(f"{place} has a {taken}.", advice)
            before = there.get("current-context")
            put({place: _dumped(self._onto(there))})
        return str(before) if before and before != self.context else None

    @classmethod
    def read(cls, path: Path) -> Kubeconfig:
        """Read a file that `write` wrote."""
        content = yaml.safe_load(path.read_text())
        cluster, named, user = content["clusters"][0]["cluster"], content["clusters"][0]["name"], content["users"][0]
        return cls(
            name=named,
            server=cluster["server"],
            authority_pem=_decode(cluster.get("certificate-authority-data", "")),
            certificate_pem=_decode(user["user"].get("client-certificate-data", "")),
            key_pem=_decode(user["user"].get("client-key-data", "")),
            user=user["name"].removeprefix(f"{named}-"),
        )

    def _taken(self, there: Entry) -> str | None:
        """What has one of our names and is not of this bay, in words; None where all is ours or free.

        A user is ours if the cluster is there and no context uses them elsewhere: we wrote both together.
        """
        clusters = [one for one in _entries(there, "clusters") if one.get("name") == self.name]
        for one in clusters:
            if (server := _inner(one, "cluster").get("server")) != self.server:
                return f"cluster {self.name} already, at {server} and not at {self.server}"
        contexts = [(one.get("name"), _inner(one, "context")) for one in _entries(there, "contexts")]
        for name, it in contexts:
            if name == self.context and (it.get("cluster"), it.get("user")) != (self.name, self._entry):
                return f"context {name} already, of cluster {it.get('cluster')} and user {it.get('user')}"
        if all(one.get("name") != self._entry for one in _entries(there, "users")):
            return None
        if not clusters:
            return f"user {self._entry} already, but no cluster {self.name}"
        for name, it in contexts:
            if it.get("user") == self._entry and it.get("cluster") != self.name:
                return f"user {self._entry} already, which its context {name} uses for the cluster {it.get('cluster')}"
        return None

    @property
    def _entry(self) -> str:
        """Its user's name in a file."""
        return f"{self.name}-{self.user}"

    def _onto(self, there: Entry) -> Entry:
        cluster: Entry = {"server": self.server}
        secrets: Entry = {}
        if self.authority_pem:
            cluster["certificate-authority-data"] = _encode(self.authority_pem)
            secrets = {
                "client-certificate-data": _encode(self.certificate_pem),
                "client-key-data": _encode(self.key_pem),
            }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            **there,
            "clusters": _with(there, "clusters", {"name": self.name, "cluster": cluster}),
            "users": _with(there, "users", {"name": self._entry, "user": secrets}),
            "contexts": _with(
                there, "contexts", {"name": self.context, "context": {"cluster": self.name, "user": self._entry}}
            ),
            "current-context": self.context,
        }


def usual_file() -> Path:
    """The file that kubectl writes: the first of `$KUBECONFIG`, else `~/.kube/config`."""
    named = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    return Path(named[0]) if named else Path("~/.kube/config").expanduser()


def _with(there: Entry, kind: str, entry: Entry) -> list[Entry]:
    """The entries of a kind with this one in its old place, or at the end."""
    entries = _entries(there, kind)
    names = [one.get("name") for one in entries]
    if entry["name"] in names:
        entries[names.index(entry["name"])] = entry
        return entries
    return [*entries, entry]


def _entries(there: Entry, kind: str) -> list[Entry]:
    entries = there.get(kind) or []
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise NotMerged(f"Its {kind} are no list of named entries.", "Mend it, or leave --merge out.")
    return list(entries)


def _inner(entry: Entry, kind: str) -> Entry:
    """What an entry says, nothing if it is none."""
    found = entry.get(kind)
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> Entry:
    advice = "Mend it, or leave --merge out and use the file of its own."
    try:
        there = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise NotMerged(f"{path} cannot be read ({type(error).__name__}).", advice) from None
    if there is None:
        return {}
    if not isinstance(there, dict) or there.get("kind", "Config") != "Config":
        raise NotMerged(f"{path} is no kubeconfig.", advice)
    return there


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone with the file, by the lock that kubectl takes: a file beside it which must not be there yet."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        lock.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        cause = f"Another program writes {path} now, or ended while it did."
        raise NotMerged(cause, f"Try again; if no kubectl is running, remove {lock}.") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _dumped(content: Entry) -> str:
    return str(yaml.safe_dump(content, sort_keys=False))


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()
