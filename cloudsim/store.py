# ruff: noqa: A002  (a record's id is called id)
"""Everything the simulated cloud holds, beside identities: one generic record store.

A record's `attrs` carry the wire's own field names (`name`, `network_id`, `fixed_ips` …), so a router renders a record
as its defaults overlaid with `attrs`. Fields that other code looks up by are indexed, hence two rules: change records
only through `Store.update`, and never change a value in place. At 10,000 bays a lookup must cost what it costs at ten,
and a record must be small: records with the same fields share their names and keep only the values.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from typing_extensions import override

# Fields with an index of their own; everything else is found by walking the kind (or the project's part of it).
INDEXED: dict[str, tuple[str, ...]] = {
    "server": ("name", "server_group"),
    "port": ("device_id", "network_id"),
    "subnet": ("network_id",),
    "router_interface": ("router_id", "subnet_id", "network_id"),
    "floatingip": ("port_id", "floating_ip_address"),
    "security_group_rule": ("security_group_id",),
    "volume_attachment": ("server_id", "volume_id"),
    "keypair": ("user_id",),
    "stack": ("stack_name", "parent_id", "parent"),
}


Attrs = Mapping[str, Any]
# Where each field stands among a record's values; one map for all records with the same fields.
Layout = dict[str, int]
_LAYOUTS: dict[tuple[str, ...], Layout] = {}


class Record:
    """One thing in the cloud.

    `created_at` is whole Unix seconds; `project_id` is empty for what belongs to the cloud itself.
    """

    __slots__ = ("_layout", "_values", "created_at", "id", "kind", "project_id")

    def __init__(self, kind: str, record_id: str, project_id: str, attrs: Attrs, created_at: int) -> None:
        self.kind = kind
        self.id = record_id
        self.project_id = project_id
        self.created_at = created_at
        self.keep(attrs)

    def keep(self, attrs: Attrs) -> None:
        """Have these attributes and no others. For the store only, which keeps the indexes true."""
        names = tuple(attrs)
        self._layout = _LAYOUTS.get(names) or _LAYOUTS.setdefault(names, {name: at for at, name in enumerate(names)})
        self._values = tuple(attrs.values())

    @property
    def attrs(self) -> dict[str, Any]:
        """All attributes, as a new dict."""
        return dict(zip(self._layout, self._values, strict=True))

    def get(self, name: str, default: Any = None) -> Any:
        """`attrs[name]`, or the default."""
        at = self._layout.get(name)
        return default if at is None else self._values[at]

    @override
    def __repr__(self) -> str:
        """Kind, id and name only: attributes can hold secrets."""
        return f"<{self.kind} {self.id} {self.get('name', '')!r}>"


Records = list[Record]


class Store:
    """Records by kind, by project and by indexed field.

    Every method is O(answer), except a walk in `find` without an index.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._second = 0
        self._kinds: dict[str, dict[str, Record]] = {}
        self._projects: dict[tuple[str, str], dict[str, Record]] = {}
        # Per kind and field: value → the record, or where several share the value, those by id.
        self._index: dict[tuple[str, str], dict[Any, Record | dict[str, Record]]] = {}

    def create(self, kind: str, project_id: str, attrs: Attrs, *, id: str | None = None) -> Record:
        """Keep a new record and return it. Raises ValueError when the id is taken."""
        record_id = id or str(uuid.uuid4())
        records = self._kinds.setdefault(kind, {})
        if record_id in records:
            raise ValueError(f"{kind} {record_id} exists")
        record = Record(kind, record_id, project_id, attrs, self.second())
        records[record_id] = record
        self._projects.setdefault((kind, project_id), {})[record_id] = record
        self._index_fields(record, INDEXED.get(kind, ()))
        return record

    def second(self) -> int:
        """Now in whole seconds; the same object within a second, since very many are kept."""
        now = int(self._now())
        if now != self._second:
            self._second = now
        return self._second

    def get(self, kind: str, id: str) -> Record | None:
        """The record, or None."""
        return self._kinds.get(kind, {}).get(id)

    def list(self, kind: str, project_id: str | None = None) -> Records:
        """All records of a kind, oldest first; of one project when given."""
        if project_id is None:
            return [*self._kinds.get(kind, {}).values()]
        return [*self._projects.get((kind, project_id), {}).values()]

    def count(self, kind: str, project_id: str | None = None) -> int:
        """How many records `list` would give, without making the list."""
        found = self._kinds.get(kind) if project_id is None else self._projects.get((kind, project_id))
        return len(found or ())

    def find(self, kind: str, **filters: Any) -> Records:
        """Records whose attributes equal all filters; `project_id` is a filter too.

        Uses an index when a filter has one.
        """
        pool: Iterable[Record] | None = None
        for name in INDEXED.get(kind, ()):
            if name in filters:
                pool = _each(self._index.get((kind, name), {}).get(filters[name]))
                break
        project = filters.pop("project_id", None)
        if pool is None:
            found = self._kinds.get(kind) if project is None else self._projects.get((kind, project))
            pool = (found or {}).values()
        wanted = filters.items()
        return [
            record
            for record in pool
            if (project is None or record.project_id == project) and all(record.get(k) == v for k, v in wanted)
        ]

    def update(self, record: Record, **changes: Any) -> Record:
        """Change attributes of a record and return it; the only way that keeps the indexes true."""
        touched = tuple(name for name in INDEXED.get(record.kind, ()) if name in changes)
        self._unindex_fields(record, touched)
        record.keep({**record.attrs, **changes})
        self._index_fields(record, touched)
        return record

    def delete(self, kind: str, id: str) -> Record | None:
        """Forget a record and return it, or None when there is none."""
        record = self._kinds.get(kind, {}).pop(id, None)
        if record is None:
            return None
        self._projects[kind, record.project_id].pop(id)
        self._unindex_fields(record, INDEXED.get(kind, ()))
        return record

    def kinds(self) -> dict[str, int]:
        """How many records there are of each kind that has any."""
        return {kind: len(records) for kind, records in sorted(self._kinds.items()) if records}

    def clear(self) -> None:
        """Forget everything."""
        self._kinds.clear()
        self._projects.clear()
        self._index.clear()

    def _index_fields(self, record: Record, names: Iterable[str]) -> None:
        for name in names:
            value = record.get(name)
            if value:
                _put(self._index.setdefault((record.kind, name), {}), value, record)

    def _unindex_fields(self, record: Record, names: Iterable[str]) -> None:
        for name in names:
            value = record.get(name)
            if value:
                _take(self._index.get((record.kind, name), {}), value, record)


def _each(found: Record | dict[str, Record] | None) -> Iterable[Record]:
    """The records behind one value of an index."""
    if found is None:
        return ()
    return (found,) if isinstance(found, Record) else found.values()


def _put(index: dict[Any, Record | dict[str, Record]], value: object, record: Record) -> None:
    """Enter a record; most values have one record, which then costs no dict of its own."""
    found = index.get(value)
    if found is None:
        index[value] = record
    elif isinstance(found, Record):
        index[value] = {found.id: found, record.id: record}
    else:
        found[record.id] = record


def _take(index: dict[Any, Record | dict[str, Record]], value: object, record: Record) -> None:
    """Take a record out, and the value when it was the last."""
    found = index.get(value)
    if isinstance(found, dict):
        found.pop(record.id, None)
        if found:
            return
    index.pop(value, None)
