"""The messages: what is accepted, what is refused and how it is said, and that released schemas stay as they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts import MAX_BODY_BYTES, Envelope, MalformedMessage, Message, decode, encode, registry
from shared.contracts.bay import BayCreateRequested, BayFailed
from shared.contracts.certificate import CertificateSigned, CertificateSignRequested
from shared.contracts.envelope import is_expired

GOLDEN = Path(__file__).with_name("golden")
UPDATE = os.environ.get("JEROBOAM_UPDATE_GOLDEN") == "1"

OTHER_FIELDS = {
    "reason": "no valid host",
    "reply_to": "jeroboam.reply.api.1",
    "generation": 2,
    "not_after": datetime(2031, 1, 1, tzinfo=UTC),
}


def example(cls: type[Message]) -> Message:
    """A message of any class."""
    return cls.model_validate({name: OTHER_FIELDS.get(name) or uuid4() for name in cls.model_fields})


def released_schema(cls: type[Message]) -> str:
    """The schema without its words: a better description is no change."""

    def strip(node: object) -> object:
        if isinstance(node, dict):
            return {key: strip(value) for key, value in node.items() if key not in ("title", "description")}
        return [strip(item) for item in node] if isinstance(node, list) else node

    facts = {"owner": cls.owner, "ttl": cls.ttl and cls.ttl.total_seconds(), "schema": strip(cls.model_json_schema())}
    return json.dumps(facts, indent=2, sort_keys=True) + "\n"


@pytest.mark.parametrize("cls", registry.MESSAGES, ids=lambda cls: str(cls.name))
def test_a_released_schema_does_not_change(cls: type[Message]) -> None:
    """Made anew with JEROBOAM_UPDATE_GOLDEN=1, for new messages and new versions only."""
    golden = GOLDEN / f"{cls.name}.v{cls.version}.json"
    if UPDATE:
        golden.write_text(released_schema(cls), encoding="utf-8")
    assert golden.exists(), f"{golden.name} is missing: run with JEROBOAM_UPDATE_GOLDEN=1 and commit it"
    assert golden.read_text(encoding="utf-8") == released_schema(cls), (
        "a released message changed: make a new version in a new class and keep this one"
    )


def test_no_released_message_disappears() -> None:
    released = {path.name for path in GOLDEN.glob("*.json")}
    assert released == {f"{cls.name}.v{cls.version}.json" for cls in registry.MESSAGES}


def test_the_message_list() -> None:
    flow = {cls.name: (cls.owner, registry.queues_of(cls.name)) for cls in registry.MESSAGES}
    assert flow == {
        "bay.create.requested": ("api", ("certs",)),
        "bay.authorities.ready": ("certs", ("provisioner",)),
        "bay.created": ("provisioner", ("scaler",)),
        "bay.failed": ("any", ()),
        "bay.resize.requested": ("api", ("scaler",)),
        "bay.resize.planned": ("scaler", ("provisioner",)),
        "bay.resize.reconsidered": ("provisioner", ("scaler",)),
        "bay.resized": ("provisioner", ("scaler",)),
        "bay.ca.rotation.requested": ("api", ("certs",)),
        "bay.ca.rotated": ("certs", ()),
        "bay.authorities.expiring": ("certs", ()),
        "bay.masters.resize.requested": ("api", ("provisioner",)),
        "bay.masters.resized": ("provisioner", ()),
        "bay.heal.requested": ("scaler", ("provisioner",)),
        "bay.heal.rebooted": ("provisioner", ("scaler",)),
        "bay.heal.planned": ("scaler", ("provisioner",)),
        "bay.healed": ("provisioner", ()),
        "bay.upgrade.requested": ("api", ("provisioner",)),
        "bay.upgrade.grown": ("provisioner", ("scaler",)),
        "bay.upgrade.drained": ("scaler", ("provisioner",)),
        "bay.upgraded": ("provisioner", ()),
        "bay.credentials.rotation.requested": ("api", ("provisioner",)),
        "bay.credentials.rotated": ("provisioner", ()),
        "bay.delete.requested": ("api", ("provisioner",)),
        "bay.stack.deleted": ("provisioner", ("certs",)),
        "bay.authorities.destroyed": ("certs", ("provisioner",)),
        "bay.deleted": ("provisioner", ()),
        "certificate.sign.requested": ("api", ("certs",)),
        "certificate.signed": ("certs", ()),
        "node.attest.requested": ("api", ("provisioner",)),
        "node.attested": ("provisioner", ("certs",)),
        "node.attest.decided": ("any", ()),
    }


@pytest.mark.parametrize("cls", registry.MESSAGES, ids=lambda cls: str(cls.name))
def test_a_message_survives_the_wire(cls: type[Message]) -> None:
    message = example(cls)
    envelope = encode(message, headers={"traceparent": "00-1"})
    assert (envelope.name, envelope.version, envelope.headers["traceparent"]) == (cls.name, cls.version, "00-1")
    assert decode(envelope) == message


def test_the_outbox_row_gives_the_id() -> None:
    row = uuid4()
    assert encode(example(BayCreateRequested), id=row).id == row


def test_a_message_with_a_time_to_live_says_when_it_ends() -> None:
    headers = encode(example(CertificateSignRequested)).headers
    now = datetime.now(UTC)
    assert not is_expired(headers, now)
    assert is_expired(headers, now + timedelta(seconds=10))
    assert not is_expired(encode(example(BayCreateRequested)).headers, now + timedelta(days=365))


@pytest.mark.parametrize("text", ["", "soon", "2026-11-22T10:00:00"])
def test_an_unreadable_end_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        is_expired({"expires_at": text})


def test_a_message_is_frozen() -> None:
    message = example(BayCreateRequested)
    with pytest.raises(ValidationError):
        message.bay_id = uuid4()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: {**body, "bay_id": "cat"}, "bay_id: Input should be a valid UUID"),
        (lambda body: {**body, "bay_id": 7}, "bay_id: "),
        (lambda body: {**body, "colour": "red"}, "colour: Extra inputs are not permitted"),
        (lambda body: {"bay_id": body["bay_id"]}, "operation_id: Field required"),
        (lambda body: [body], "body: Input should be an object"),
    ],
)
def test_a_body_that_is_not_as_promised_is_refused_by_field(
    change: Callable[[dict[str, str]], object], reason: str
) -> None:
    envelope = encode(example(BayCreateRequested))
    body = json.dumps(change(json.loads(envelope.body))).encode()
    with pytest.raises(MalformedMessage, match=re.escape(reason)) as caught:
        decode(Envelope(envelope.id, envelope.name, envelope.version, body))
    assert caught.value.reason.startswith("bay.create.requested v1: ")


def test_a_refusal_does_not_repeat_the_values() -> None:
    body = json.dumps({"operation_id": "sesame", "bay_id": ["sesame"], "x" * 5000: "sesame"}).encode()
    with pytest.raises(MalformedMessage) as caught:
        decode(Envelope(uuid4(), "bay.create.requested", 1, body))
    assert "sesame" not in caught.value.reason
    assert len(caught.value.reason) < 2000
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("bay.exploded", 1, "unknown message 'bay.exploded'"),
        ("bay.created", 2, "unknown version 2 of message bay.created"),
        ("bay.created", 0, "unknown version 0 of message bay.created"),
    ],
)
def test_an_unknown_message_is_refused(name: str, version: int, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=re.escape(reason)):
        decode(Envelope(uuid4(), name, version, b"{}"))


def test_the_largest_body_and_one_byte_more() -> None:
    envelope = encode(example(BayCreateRequested))
    padded = envelope.body + b" " * (MAX_BODY_BYTES - len(envelope.body))
    decode(Envelope(envelope.id, envelope.name, 1, padded))
    with pytest.raises(MalformedMessage, match="body has 65537 bytes, allowed are 65536"):
        decode(Envelope(envelope.id, envelope.name, 1, padded + b" "))


def test_an_oversized_message_is_not_sent() -> None:
    request = CertificateSignRequested(bay_id=uuid4(), sign_request_id=uuid4(), reply_to="jeroboam.reply.api.1")
    forged = request.model_copy(update={"reply_to": "x" * MAX_BODY_BYTES})
    with pytest.raises(MalformedMessage, match="allowed are 65536"):
        encode(forged)


def test_a_long_reason_is_cut_instead_of_failing() -> None:
    failed = BayFailed(operation_id=uuid4(), bay_id=uuid4(), reason="x" * 100_000)
    assert len(failed.reason) == 2000
    assert decode(encode(failed)) == failed


def test_a_class_that_is_not_registered_is_not_sent() -> None:
    class Impostor(BayCreateRequested):
        """Same name and version, another class."""

    with pytest.raises(MalformedMessage, match="Impostor is not a registered message"):
        encode(Impostor(operation_id=uuid4(), bay_id=uuid4()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_rubbish_is_refused_and_nothing_else_happens(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(Envelope(UUID(int=1), "bay.create.requested", 1, body))


class _Odd(Message):
    name: ClassVar[str] = "Bay Exploded"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class _Orphan(Message):
    name: ClassVar[str] = "bay.exploded"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "nobody"


def test_a_registry_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        registry.validate([BayFailed, BayFailed], {})
    with pytest.raises(ValueError, match="unusable name 'Bay Exploded'"):
        registry.validate([_Odd], {})
    with pytest.raises(ValueError, match="unknown service 'nobody'"):
        registry.validate([_Orphan], {})
    with pytest.raises(ValueError, match=r"queue certs is bound to bay\.failed"):
        registry.validate([], {"certs": [BayFailed]})
    with pytest.raises(ValueError, match="unregistered or a reply"):
        registry.validate([CertificateSigned], {"certs": [CertificateSigned]})


def test_the_documents_are_up_to_date() -> None:
    command = [sys.executable, "-m", "scripts.generate_messages", "--check"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_asyncapi_document_holds_together() -> None:
    document = json.loads((Path(__file__).parents[2] / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    text = json.dumps(document)
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        node = document
        for part in reference.split("/"):
            node = node[part]
    assert len(document["components"]["messages"]) == len(registry.MESSAGES)
