"""CMS EnvelopedData (RFC 5652) for the key of one certificate: what `openssl cms -decrypt` on a node opens.

An RSA key gets the content key by key transport. An elliptic-curve key agrees on one with a key made for this message
alone (ephemeral-static ECDH, RFC 5753): the shared secret goes through X9.63's derivation, and what comes out wraps the
content key. OpenSSL before 1.0.2 knows the first way only.
"""

from __future__ import annotations

import base64
import os
import textwrap
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7

from shared.domain.errors import InvalidInput
from shared.pki_client.der import context, integer, object_id, octets, sequence, tagged

_DATA: Final = object_id("1.2.840.113549.1.7.1")
_ENVELOPED_DATA: Final = object_id("1.2.840.113549.1.7.3")
_AES256_CBC: Final = object_id("2.16.840.1.101.3.4.1.42")
_AES256_WRAP: Final = sequence(object_id("2.16.840.1.101.3.4.1.45"))
_EC_PUBLIC_KEY: Final = sequence(object_id("1.2.840.10045.2.1"))
_ECDH_SHA256: Final = object_id("1.3.132.1.11.1")
"""dhSinglePass-stdDH-sha256kdf-scheme"""

_KEY_BYTES: Final = 32
_SET, _BIT_STRING, _PRIMITIVE_0 = 0x31, 0x03, 0x80


def sealed_for(certificate_pem: str, content: bytes) -> str:
    """`content` as CMS in PEM, encrypted with AES-256 to the certificate's key.

    Raises:
        InvalidInput: it is no certificate, or its key is neither RSA nor on an elliptic curve.
    """
    try:
        recipient = x509.load_pem_x509_certificate(certificate_pem.encode())
        key = recipient.public_key()
    except ValueError:
        raise InvalidInput("This is not a PEM certificate that can be read.", field="pem") from None
    if isinstance(key, rsa.RSAPublicKey):
        builder = pkcs7.PKCS7EnvelopeBuilder().set_data(content).add_recipient(recipient)
        builder = builder.set_content_encryption_algorithm(AES256)
        return builder.encrypt(Encoding.PEM, [pkcs7.PKCS7Options.Binary]).decode()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _pem(_agreed(recipient, key, content))
    raise InvalidInput("Only an RSA or an elliptic-curve key can be encrypted to.", field="pem")


def _agreed(recipient: x509.Certificate, key: ec.EllipticCurvePublicKey, content: bytes) -> bytes:
    """ContentInfo with one KeyAgreeRecipientInfo."""
    content_key, iv = os.urandom(_KEY_BYTES), os.urandom(16)
    ephemeral = ec.generate_private_key(key.curve)
    wrapped = keywrap.aes_key_wrap(_wrapping_key(ephemeral.exchange(ec.ECDH(), key)), content_key)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    originator = context(1, _EC_PUBLIC_KEY, tagged(_BIT_STRING, b"\0" + point))
    who = sequence(recipient.issuer.public_bytes(), integer(recipient.serial_number))
    agreement = context(
        1,
        integer(3),
        context(0, originator),
        sequence(_ECDH_SHA256, _AES256_WRAP),
        sequence(sequence(who, octets(wrapped))),
    )
    encrypted = tagged(_PRIMITIVE_0, _encrypted(content_key, iv, content))
    body = sequence(_DATA, sequence(_AES256_CBC, octets(iv)), encrypted)
    return sequence(_ENVELOPED_DATA, context(0, sequence(integer(2), tagged(_SET, agreement), body)))


def _wrapping_key(shared_secret: bytes) -> bytes:
    """By ANSI X9.63 over ECC-CMS-SharedInfo (RFC 5753, 7.2): which algorithm the key is for, and its bits."""
    bits = octets((8 * _KEY_BYTES).to_bytes(4, "big"))
    info = sequence(_AES256_WRAP, context(2, bits))
    return X963KDF(algorithm=SHA256(), length=_KEY_BYTES, sharedinfo=info).derive(shared_secret)


def _encrypted(key: bytes, iv: bytes, content: bytes) -> bytes:
    padder, encryptor = PKCS7(128).padder(), Cipher(AES256(key), CBC(iv)).encryptor()
    return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def _pem(der: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN PKCS7-----", *lines, "-----END PKCS7-----", ""])
