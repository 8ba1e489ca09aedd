"""A strict reader of Ignition configurations: what Ignition would refuse or leave out, and what we never use, is wrong.

Written from Ignition's own configuration specification (versions 2.0 to 2.3, and 3.0 to 3.5), for the fields that
container hosts need. Unknown keys are errors here, though Ignition only warns about them.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

_TOP: Final = {"ignition", "passwd", "storage", "systemd", "networkd"}
_FILE: Final = {"path", "mode", "user", "group", "contents", "overwrite", "append", "filesystem"}
_DIRECTORY: Final = {"path", "mode", "user", "group", "overwrite", "filesystem"}
_LINK: Final = {"path", "target", "hard", "user", "group", "overwrite", "filesystem"}
_UNIT: Final = {"name", "enabled", "enable", "mask", "contents", "dropins"}
_USER: Final = {"name", "sshAuthorizedKeys", "groups", "shell", "noCreateHome", "homeDir", "gecos", "system"}
_UNIT_NAME: Final = re.compile(
    r"[A-Za-z0-9:_.\\@-]+\.(service|socket|device|mount|automount|swap|target|path|timer|slice)"
)
_DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[\w.+-]+)*)(;base64)?,(.*)", re.DOTALL)
_ESCAPED: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")


class Wrong(ValueError):
    """Where in the configuration, and what."""


def check(config: Mapping[str, Any]) -> None:
    """Raise Wrong for the first thing that Ignition would not take as it is meant."""
    _keys(config, _TOP, "")
    version = _version(config)
    seen: set[str] = set()
    storage = config.get("storage", {})
    _keys(storage, {"files", "directories", "links", "filesystems", "disks", "raid"}, "storage")
    for kind, allowed in (("files", _FILE), ("directories", _DIRECTORY), ("links", _LINK)):
        for index, entry in enumerate(storage.get(kind, [])):
            where = f"storage.{kind}[{index}]"
            _keys(entry, allowed, where)
            _check_node(entry, where, version, seen)
            if kind == "files":
                decode(entry.get("contents", {}), where)
    _check_units(config.get("systemd", {}), version)
    passwd = config.get("passwd", {})
    _keys(passwd, {"users", "groups"}, "passwd")
    for index, user in enumerate(passwd.get("users", [])):
        _keys(user, _USER, f"passwd.users[{index}]")
        _text(user.get("name"), f"passwd.users[{index}].name")


def files(config: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Content and mode of every file, by path."""
    entries = config.get("storage", {}).get("files", [])
    return {
        entry["path"]: (decode(entry.get("contents", {}), entry["path"]).decode(), entry.get("mode", 0o644))
        for entry in entries
    }


def units(config: Mapping[str, Any]) -> dict[str, str]:
    """Content of every unit and drop-in, by file name."""
    return dict(_unit_texts(config.get("systemd", {})))


def _unit_texts(systemd: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for unit in systemd.get("units", []):
        if unit.get("contents"):
            yield unit["name"], unit["contents"]
        for dropin in unit.get("dropins", []):
            yield f"{unit['name']}.d/{dropin['name']}", dropin["contents"]


def decode(contents: Mapping[str, Any], where: str) -> bytes:
    """The bytes of `contents`; raises Wrong when its source is no data URL that decodes."""
    _keys(contents, {"source", "compression", "verification"}, where)
    source = contents.get("source", "data:,")
    found = _DATA.fullmatch(source)
    if not found:
        raise Wrong(f"{where}: the source is no data URL")
    if found[3]:
        try:
            data = base64.b64decode(unquote_to_bytes(found[4]), validate=True)
        except ValueError as error:
            raise Wrong(f"{where}: {error}") from error
    else:
        if not _ESCAPED.fullmatch(found[4]):
            raise Wrong(f"{where}: the data URL has characters that must be escaped")
        data = unquote_to_bytes(found[4])
    return gzip.decompress(data) if contents.get("compression") == "gzip" else data


def _version(config: Mapping[str, Any]) -> int:
    head = config.get("ignition", {})
    _keys(head, {"version", "config", "timeouts", "security", "proxy"}, "ignition")
    version = str(head.get("version", ""))
    if not re.fullmatch(r"2\.[0-3]\.0|3\.[0-5]\.0", version):
        raise Wrong(f"ignition.version is {version!r}")
    return int(version[0])


def _check_node(entry: Mapping[str, Any], where: str, version: int, seen: set[str]) -> None:
    path = _text(entry.get("path"), f"{where}.path")
    if not path.startswith("/") or "//" in path or ".." in path.split("/") or path.endswith("/"):
        raise Wrong(f"{where}: {path} is no absolute path in its plain form")
    if path in seen:
        raise Wrong(f"{where}: {path} is there twice")
    seen.add(path)
    mode = entry.get("mode", 0o644)
    if not isinstance(mode, int) or isinstance(mode, bool) or not 0 <= mode <= 0o7777:
        raise Wrong(f"{where}: mode {mode!r} is no number up to 4095")
    if version == 2 and entry.get("filesystem") != "root":
        raise Wrong(f"{where}: version 2 needs filesystem root")
    if version == 3 and ("filesystem" in entry):
        raise Wrong(f"{where}: version 3 has no filesystem here")


def _check_units(systemd: Mapping[str, Any], version: int) -> None:
    _keys(systemd, {"units"}, "systemd")
    seen: set[str] = set()
    for index, unit in enumerate(systemd.get("units", [])):
        where = f"systemd.units[{index}]"
        _keys(unit, _UNIT, where)
        name = _text(unit.get("name"), f"{where}.name")
        if not _UNIT_NAME.fullmatch(name) or name in seen:
            raise Wrong(f"{where}: {name} is no name of a unit, or is there twice")
        seen.add(name)
        if version == 3 and "enable" in unit:
            raise Wrong(f"{where}: version 3 says enabled")
        if unit.get("enabled") and "contents" in unit and "[Install]" not in unit["contents"]:
            raise Wrong(f"{where}: {name} is enabled and has no [Install]")
        for dropin in unit.get("dropins", []):
            _keys(dropin, {"name", "contents"}, where)
            if not _text(dropin.get("name"), where).endswith(".conf"):
                raise Wrong(f"{where}: a drop-in's name ends in .conf")
            _text(dropin.get("contents"), where)


def _keys(entry: Any, allowed: set[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise Wrong(f"{where} is no object")
    if unknown := sorted(set(entry) - allowed):
        raise Wrong(f"{where} has unknown keys: {', '.join(unknown)}")


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise Wrong(f"{where} is no text")
    return value
