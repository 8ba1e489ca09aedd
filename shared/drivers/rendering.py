"""Pure helpers that turn facts into the texts a stack is made of.

Two layers of substitution meet in user-data. What is the same for the whole bay is written by us, always as quoted
data (shell_environment, cloud_config), never into the middle of a script. What differs per server (its secret, its
addresses) is left to Heat's str_replace as `@@NAME@@`. No value from outside may contain `@@`, or Heat would replace
inside it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import shlex
import tarfile
from collections.abc import Iterable, Mapping
from importlib import resources

import yaml

from shared.domain.errors import InvalidInput

USER_DATA_LIMIT = 65_535
"""Bytes that Nova takes, counted after base64."""
PLACEHOLDER = re.compile(r"@@([A-Z][A-Z0-9_]*)@@")
PACKED = "gz+b64"
"""cloud-config's word for a file whose content is base64 of gzip."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def package_text(package: str, *path: str) -> str:
    """Read a text file that lies in one of our own packages."""
    return resources.files(package).joinpath(*path).read_text(encoding="utf-8")


def package_texts(package: str, folder: str, suffix: str) -> dict[str, str]:
    """Read the files of a package's folder whose names end in `suffix`, by name, in order of their names."""
    found = (entry for entry in resources.files(package).joinpath(folder).iterdir() if entry.name.endswith(suffix))
    return {entry.name: entry.read_text(encoding="utf-8") for entry in sorted(found, key=lambda entry: entry.name)}


def plain(value: str, field: str) -> str:
    """Give the value back if it is one line of text that Heat will not replace in; else raise InvalidInput."""
    if _CONTROL.search(value):
        raise InvalidInput(f"{field} must not contain line breaks or other control characters.", field=field)
    if "@@" in value:
        raise InvalidInput(f"{field} must not contain '@@'.", field=field)
    return value


def shell_environment(values: Mapping[str, str]) -> str:
    """Write assignments that any POSIX shell reads back as exactly these values."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


# Writes texts of several lines as literal blocks, so that people can read the user-data of a node. libyaml's emitter
# writes the same bytes in a tenth of the time, and a bay is rendered at the door and again by the provisioner.
_Dumper: type[yaml.SafeDumper] = type("_Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def cloud_config(data: Mapping[str, object]) -> str:
    """Write a cloud-config part. ASCII only: anything else is escaped by YAML."""
    body = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, width=10_000)
    return f"#cloud-config\n{body}"


def file_entry(path: str, content: str, mode: str = "0600") -> dict[str, str]:
    """Describe one file for cloud-config's write_files; owned by root, and private unless said otherwise."""
    return {"path": path, "owner": "root:root", "permissions": mode, "content": content}


def packed(text: str) -> str:
    """A text as base64 of gzip, which cloud-init and Ignition both unpack. The same text gives the same bytes."""
    return _packed(text.encode())


def archive(entries: Iterable[Mapping[str, str]]) -> str:
    """Files as base64 of a gzipped tar to be unpacked in `/`: together they take far less room than one by one.

    The same files give the same bytes. Whoever the entries say, root owns them.
    """
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry in entries:
            content = entry["content"].encode()
            one = tarfile.TarInfo(entry["path"].lstrip("/"))
            one.size, one.mode = len(content), int(entry["permissions"], 8)
            tar.addfile(one, io.BytesIO(content))
    return _packed(written.getvalue())


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def multipart(parts: Iterable[tuple[str, str, str]]) -> str:
    """Assemble (file name, content type, text) parts into MIME user-data.

    cloud-init runs shell parts sorted by file name, whatever their order here. The boundary comes from the content, so
    that the same parts give the same text. Parts stay unencoded for Heat's str_replace and must therefore be ASCII.
    """
    listed = list(parts)
    digest = hashlib.sha256("\0".join(text for _, _, text in listed).encode()).hexdigest()
    boundary = f"==jeroboam-{digest[:32]}=="
    lines = ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{boundary}"', ""]
    for name, content_type, text in listed:
        if not text.isascii():
            raise ValueError(f"Part {name} is not ASCII.")
        lines += [
            f"--{boundary}",
            f'Content-Type: {content_type}; charset="us-ascii"',
            "Content-Transfer-Encoding: 7bit",
            f'Content-Disposition: attachment; filename="{name}"',
            "",
            text.rstrip("\n"),
        ]
    return "\n".join([*lines, f"--{boundary}--", ""])


def placeholders(text: str) -> frozenset[str]:
    """Names of all `@@NAME@@` in a text."""
    return frozenset(PLACEHOLDER.findall(text))


def check_user_data(text: str, filled_in: frozenset[str], room: int = 2048) -> str:
    """Give the text back if Heat will replace everything in it and Nova will take it.

    `filled_in` names what Heat replaces; `room` is how much longer Heat's replacements may make it, in bytes.

    Raises:
        ValueError: the placeholders are wrong, which is the driver's fault.
        InvalidInput: it is too long, which is the fault of what the user put into it.
    """
    found = placeholders(text)
    if not found <= filled_in:
        raise ValueError(f"Unknown placeholders: {sorted(found - filled_in)}.")
    if text.count("@@") != 2 * len(PLACEHOLDER.findall(text)):
        raise ValueError("The user-data has a malformed placeholder.")
    size = len(base64.b64encode(text.encode())) + 4 * room // 3
    if size > USER_DATA_LIMIT:
        raise InvalidInput(
            f"The user-data of the bay's servers would have {size} bytes after base64, and Nova takes "
            f"{USER_DATA_LIMIT}. Shorten the proxies or the key of the bay."
        )
    return text
