"""The sealed box that carries a node's credential from the gateway to the provisioner."""

from __future__ import annotations

import base64

import pytest

from shared.runtime.sealing import SealError, generate_keypair, public_of, seal, unseal


def test_only_the_private_key_and_the_context_open_a_box() -> None:
    public, private = generate_keypair()
    other = generate_keypair()[1]
    box = seal(public, b"secret", b"bay 1")

    assert unseal(private, box, b"bay 1") == b"secret"
    assert public_of(private) == public
    assert b"secret" not in box
    for key, context in ((private, b"bay 2"), (other, b"bay 1")):
        with pytest.raises(SealError, match="another key or context"):
            unseal(key, box, context)


def test_two_boxes_of_one_secret_differ() -> None:
    public, _ = generate_keypair()

    assert seal(public, b"secret", b"") != seal(public, b"secret", b"")


def test_every_changed_byte_is_noticed() -> None:
    public, private = generate_keypair()
    box = seal(public, b"s", b"c")

    for position in range(len(box)):
        changed = box[:position] + bytes([box[position] ^ 1]) + box[position + 1 :]
        with pytest.raises(SealError):
            unseal(private, changed, b"c")
    for length in range(len(box)):
        with pytest.raises(SealError):
            unseal(private, box[:length], b"c")


@pytest.mark.parametrize("key", ["", "???", base64.b64encode(bytes(31)).decode(), "ключ"])
def test_unusable_keys_are_refused(key: str) -> None:
    _, private = generate_keypair()
    with pytest.raises(SealError):
        seal(key, b"x", b"")
    with pytest.raises(SealError):
        unseal(key, seal(public_of(private), b"x", b""), b"")


def test_a_point_of_low_order_is_refused() -> None:
    with pytest.raises(SealError, match="not usable"):
        seal(base64.b64encode(bytes(32)).decode(), b"x", b"")
