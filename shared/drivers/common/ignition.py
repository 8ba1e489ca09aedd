"""The user-data of a node whose image has Ignition in cloud-init's place: Container Linux, Flatcar.

The same files and numbered parts as in user_data.mime(), as an Ignition configuration of version 2.2.0: the one that
Container Linux's own tool wrote, and which every release of Container Linux since 2018 and of Flatcar reads. A unit of
one shot runs the parts in order of their names.

Heat replaces `@@NAME@@` in this text as in any other, and here the value lands in a URL in a JSON string. So what is
the same for all nodes is an archive, gzip in base64, where there is nothing to replace; Nova takes 64 KiB. A file with
placeholders is percent-encoded around them; its values hold only letters, digits and `-_.~=+/,:@` (names, addresses,
ids, generated secrets), which stand for themselves in both. The one value with spaces and quotes, the signal command,
is encoded by Heat itself: `@@SIGNAL_COMMAND_ESCAPED@@`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from shared.drivers.common.user_data import ARCHIVE, CONFIG, FILLED_IN, Payload, files, is_same, room, scripts
from shared.drivers.contract import BayFacts, Role
from shared.drivers.rendering import (
    PACKED,
    PLACEHOLDER,
    archive,
    check_user_data,
    file_entry,
    packed,
    placeholders,
    plain,
)

VERSION: Final = "2.2.0"
PARTS: Final = f"{CONFIG}/parts"
_ENCODED: Final = re.compile(rb"[^A-Za-z0-9_.~/:,=+-]")
_UNITS: Final = "/etc/systemd/system/"
_BOOT: Final = f"""\
#!/bin/sh
# Runs the numbered parts once. They keep logs of their own; one that fails does not stop the next, so that the last one
# can tell Heat.
for part in {PARTS}/*.sh; do
    sh "$part" || echo "$part ended with code $?" >&2
done
mkdir -p /var/lib/jeroboam
touch /var/lib/jeroboam/booted
"""
_BOOT_UNIT: Final = f"""\
[Unit]
Description=Jeroboam: makes this server a node of its bay
Wants=network-online.target
After=network-online.target
ConditionPathExists=!/var/lib/jeroboam/booted

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=/bin/sh -c 'exec tar -xf {ARCHIVE} -C /'
ExecStart=/bin/sh {CONFIG}/boot
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def ignition(facts: BayFacts, role: Role, payload: Payload) -> str:
    """The user-data as Ignition takes it. Raises InvalidInput when it is too long for Nova."""
    entries = files(facts, role, payload)
    entries += [file_entry(f"{PARTS}/{name}", text, "0700") for name, text in scripts(role, payload).items()]
    same = [entry for entry in entries if is_same(entry) and not _is_unit(entry)]
    entries = [entry for entry in entries if entry not in same]
    entries.append({**file_entry(ARCHIVE, archive(same)), "encoding": PACKED})
    entries.append(file_entry(f"{CONFIG}/boot", _BOOT, "0700"))
    units: list[dict[str, object]] = [
        {"name": entry["path"].removeprefix(_UNITS), "contents": entry["content"]}
        for entry in entries
        if _is_unit(entry)
    ]
    units.append({"name": "jeroboam-boot.service", "enabled": True, "contents": _BOOT_UNIT})
    document = {
        "ignition": {"version": VERSION},
        "passwd": {"users": [_user(facts, payload)]},
        "storage": {"files": [_file(entry) for entry in entries if not _is_unit(entry)]},
        "systemd": {"units": units},
    }
    return check_user_data(json.dumps(document, separators=(",", ":")) + "\n", FILLED_IN[role], room(facts))


def _user(facts: BayFacts, payload: Payload) -> dict[str, object]:
    """The login, which the image has already."""
    user: dict[str, object] = {"name": payload.login}
    if facts.ssh_public_key:
        user["sshAuthorizedKeys"] = [plain(facts.ssh_public_key.strip(), "keypair_id")]
    return user


def _is_unit(entry: Mapping[str, str]) -> bool:
    return entry["path"].startswith(_UNITS)


def _file(entry: Mapping[str, str]) -> dict[str, object]:
    """A file of cloud-config's kind as Ignition has it; one that Heat fills in whole comes packed."""
    text = entry["content"]
    if placeholders(text) and entry.get("encoding") != PACKED:
        contents = {"source": _escaped(text)}
    else:
        whole = text if entry.get("encoding") == PACKED else packed(text)
        contents = {"source": f"data:;base64,{whole}", "compression": "gzip"}
    return {"filesystem": "root", "path": entry["path"], "mode": int(entry["permissions"], 8), "contents": contents}


def _escaped(text: str) -> str:
    """Percent-encoded but for the placeholders; what needs no encoding stays legible."""
    text = text.replace("@@SIGNAL_COMMAND@@", "@@SIGNAL_COMMAND_ESCAPED@@")
    pieces = PLACEHOLDER.split(text)  # every other one is a placeholder's name
    return "data:," + "".join(
        f"@@{piece}@@" if place % 2 else _ENCODED.sub(_percent, piece.encode()).decode()
        for place, piece in enumerate(pieces)
    )


def _percent(byte: re.Match[bytes]) -> bytes:
    return b"%%%02X" % byte[0][0]
