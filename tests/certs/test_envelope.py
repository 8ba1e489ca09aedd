"""Authority keys at rest, and the master key's sources."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr, ValidationError

from services.certs.client_policy import ClientPolicy
from services.certs.envelope import Envelope, EnvelopeError, MasterKey
from services.certs.master_key import load_master_key, load_master_keys
from services.certs.settings import CertsSettings
from shared.db.repositories.authorities import SealedKey

KEY = base64.b64encode(os.urandom(32)).decode()
BAY, AUTHORITY = uuid4(), uuid4()


@pytest.fixture
def envelope() -> Envelope:
    return Envelope(MasterKey.from_base64(KEY))


def settings(*, file: Path | None = None, key: str | None = None) -> CertsSettings:
    return CertsSettings(
        database_url="postgresql://jb_certs@127.0.0.1/none",
        keystone_url="http://127.0.0.1:1/v3",
        service_password=SecretStr("x"),
        master_key_file=file,
        master_key=None if key is None else SecretStr(key),
    )


def test_what_is_sealed_opens_for_its_owner_only(envelope: Envelope) -> None:
    record = envelope.seal(b"a private key", bay_id=BAY, authority_id=AUTHORITY)

    assert envelope.open(record, bay_id=BAY, authority_id=AUTHORITY) == b"a private key"
    for bay_id, authority_id in ((uuid4(), AUTHORITY), (BAY, uuid4())):
        with pytest.raises(EnvelopeError, match="belongs elsewhere"):
            envelope.open(record, bay_id=bay_id, authority_id=authority_id)


def test_another_master_key_is_refused_by_its_id(envelope: Envelope) -> None:
    record = envelope.seal(b"a private key", bay_id=BAY, authority_id=AUTHORITY)
    other = MasterKey.from_base64(base64.b64encode(os.urandom(32)).decode())

    with pytest.raises(EnvelopeError, match=f"under master key {record.key_id}"):
        Envelope(other).open(record, bay_id=BAY, authority_id=AUTHORITY)
    with pytest.raises(EnvelopeError, match="changed"):
        Envelope(other).open(replace(record, key_id=other.id), bay_id=BAY, authority_id=AUTHORITY)


@pytest.mark.parametrize("part", ["wrapped_key", "sealed"])
@pytest.mark.parametrize("change", ["flip", "cut", "empty"])
def test_a_changed_record_is_refused(envelope: Envelope, part: str, change: str) -> None:
    record = envelope.seal(b"a private key", bay_id=BAY, authority_id=AUTHORITY)
    whole: bytes = getattr(record, part)
    changed = {"flip": whole[:-1] + bytes([whole[-1] ^ 1]), "cut": whole[:20], "empty": b""}[change]
    broken = SealedKey(**{**vars(record), part: changed})

    with pytest.raises(EnvelopeError, match="changed"):
        envelope.open(broken, bay_id=BAY, authority_id=AUTHORITY)


def test_no_secret_is_in_a_repr(envelope: Envelope) -> None:
    record = envelope.seal(b"a private key", bay_id=BAY, authority_id=AUTHORITY)
    shown = repr(MasterKey.from_base64(KEY)) + repr(record) + repr(settings(key=KEY))

    assert KEY not in shown
    assert repr(base64.b64decode(KEY)) not in shown
    assert "private" not in shown


def test_the_master_key_comes_from_a_private_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_text(KEY + "\n")
    file.chmod(0o600)

    assert load_master_key(settings(file=file)) == load_master_key(settings(key=KEY))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "master.key"
    file.write_text(KEY)
    file.chmod(mode)

    with pytest.raises(EnvelopeError, match="chmod it to 0600"):
        load_master_key(settings(file=file))


@pytest.mark.parametrize(
    "text",
    ["", "not base64!", base64.b64encode(bytes(16)).decode(), base64.b64encode(bytes(64)).decode()],
    ids=["empty", "not base64", "short", "long"],
)
def test_an_unusable_master_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(EnvelopeError, match="32 bytes") as caught:
        load_master_key(settings(key=text))
    assert not text or text not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvelopeError, match="cannot be read: No such file"):
        load_master_key(settings(file=tmp_path / "none"))


@pytest.mark.parametrize("both", [True, False])
def test_one_source_exactly(tmp_path: Path, both: bool) -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        settings(file=tmp_path / "x" if both else None, key=KEY if both else None)


def test_records_under_either_key_open_while_one_is_exchanged_for_the_other() -> None:
    old, new = (MasterKey.from_base64(base64.b64encode(os.urandom(32)).decode()) for _ in range(2))
    record = Envelope(old).seal(b"a private key", bay_id=BAY, authority_id=AUTHORITY)
    both = Envelope(new, [old])

    anew = both.rewrap(record, bay_id=BAY, authority_id=AUTHORITY)
    assert (both.key_id, anew.key_id, anew.sealed) == (new.id, new.id, record.sealed)
    for one in (record, anew, both.seal(b"a private key", bay_id=BAY, authority_id=AUTHORITY)):
        assert both.open(one, bay_id=BAY, authority_id=AUTHORITY) == b"a private key"
    assert Envelope(new).open(anew, bay_id=BAY, authority_id=AUTHORITY) == b"a private key"
    with pytest.raises(EnvelopeError, match=f"under master key {new.id}; this process holds {old.id}"):
        Envelope(old).open(anew, bay_id=BAY, authority_id=AUTHORITY)


@pytest.mark.parametrize("whose", [(uuid4(), AUTHORITY), (BAY, uuid4())])
def test_a_record_of_somebody_else_is_not_wrapped_anew(whose: tuple[UUID, UUID]) -> None:
    old, new = (MasterKey.from_base64(base64.b64encode(os.urandom(32)).decode()) for _ in range(2))
    record = Envelope(old).seal(b"a private key", bay_id=BAY, authority_id=AUTHORITY)

    with pytest.raises(EnvelopeError, match="changed or belongs elsewhere"):
        Envelope(new, [old]).rewrap(record, bay_id=whose[0], authority_id=whose[1])


def test_further_master_keys_come_from_files_and_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [base64.b64encode(os.urandom(32)).decode() for _ in range(4)]
    files = [tmp_path / name for name in ("one", "two")]
    for file, text in zip(files, texts, strict=False):
        file.write_text(text)
        file.chmod(0o600)
    monkeypatch.setenv("JEROBOAM_OTHER_MASTER_KEY_FILES", f"{files[0]}, {files[1]},")
    monkeypatch.setenv("JEROBOAM_OTHER_MASTER_KEYS", ",".join(texts[2:]))
    given = settings(key=KEY)

    found = load_master_keys(given)
    assert found.newest == MasterKey.from_base64(KEY)
    assert found.others == tuple(MasterKey.from_base64(text) for text in texts)
    assert not any(text in repr(given) + repr(found) for text in texts)
    files[1].chmod(0o640)
    with pytest.raises(EnvelopeError, match="chmod it to 0600"):
        load_master_keys(given)


def test_what_certificates_of_people_may_say_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(key=KEY).clients == ClientPolicy()
    monkeypatch.setenv("JEROBOAM_OWNER_SUBJECTS", "CN=*,O=dev-*;CN=ci")
    monkeypatch.setenv("JEROBOAM_OWNER_NETWORKS", "203.0.113.0/24")
    monkeypatch.setenv("JEROBOAM_CLIENT_CERTIFICATE_HOURS", "8")
    monkeypatch.setenv("JEROBOAM_CLIENT_CERTIFICATE_MAX_HOURS", "")
    policy = settings(key=KEY).clients

    assert (len(policy.subjects), policy.usual, policy.longest) == (2, timedelta(hours=8), None)
    monkeypatch.setenv("JEROBOAM_OWNER_SUBJECTS", "everybody")
    with pytest.raises(ValidationError, match="is TYPE=VALUE"):
        settings(key=KEY)
