"""The lint before the authority's key is used: what we make passes, and whatever is changed in it is found."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.certs.authority import BACKDATED, Authority, Intent, SpentToken, Token
from services.certs.lint import LintFailed, findings, lint
from services.certs.profiles import Asker, LeafPlan, PublicKey, Refused, plan_leaf, plan_node
from shared.domain import client_profiles, node_profiles
from shared.pki_client import KeyKind
from shared.runtime.telemetry import REGISTRY
from tests.certs.requests import CLIENT_AUTH, NOW, SAN, YEARS, csr, key_usage, new_authority

INTENT = Intent(serial=(1 << 127) + 5, not_before=NOW - BACKDATED, not_after=NOW + timedelta(days=30))
USAGE = key_usage("digital_signature")
PLAN = plan_leaf(csr((USAGE, True), (CLIENT_AUTH, False), (SAN, False)), "owner")
STRANGER = ec.generate_private_key(ec.SECP256R1()).public_key()
WEAK = rsa.generate_private_key(65537, 1024).public_key()
MADE = {kind: new_authority("kube", kind)[0] for kind in KeyKind}
ISSUER = x509.load_pem_x509_certificate(MADE[KeyKind.EC_P256].certificate.encode())
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
Extension = tuple[x509.ExtensionType, bool]


@dataclass(frozen=True)
class Parts:
    """What a certificate is put together from, so that a test can do it wrongly."""

    subject: x509.Name
    issuer: x509.Name
    key: PublicKey
    serial: int
    begins: datetime
    ends: datetime
    extensions: tuple[Extension, ...]

    def builder(self) -> x509.CertificateBuilder:
        found = [x509.Extension(value.oid, critical, value) for value, critical in self.extensions]
        return x509.CertificateBuilder(self.issuer, self.subject, self.key, self.serial, self.begins, self.ends, found)


def parts(plan: LeafPlan = PLAN, intent: Intent = INTENT, issuer: x509.Certificate = ISSUER) -> Parts:
    """As the authority does it."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    own: tuple[Extension, ...] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectKeyIdentifier.from_public_key(plan.public_key), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    )
    return Parts(
        plan.subject,
        issuer.subject,
        plan.public_key,
        intent.serial,
        intent.not_before,
        intent.not_after,
        (*plan.extensions, *own),
    )


def failures() -> float:
    return REGISTRY.get_sample_value("jeroboam_certificate_lint_failures_total") or 0.0


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def without(made: Parts, kind: type[x509.ExtensionType]) -> Parts:
    return replace(made, extensions=tuple(one for one in made.extensions if not isinstance(one[0], kind)))


def instead(made: Parts, value: x509.ExtensionType, critical: bool = False) -> Parts:
    cut = without(made, type(value))
    return replace(cut, extensions=(*cut.extensions, (value, critical)))


def more(made: Parts, value: x509.ExtensionType, critical: bool = False) -> Parts:
    return replace(made, extensions=(*made.extensions, (value, critical)))


def turned(made: Parts, kind: type[x509.ExtensionType]) -> Parts:
    """Critical where it was not, and the other way round."""
    return replace(
        made, extensions=tuple((value, critical != isinstance(value, kind)) for value, critical in made.extensions)
    )


IDENTIFIER = x509.SubjectKeyIdentifier(b"a made-up identifier")
PURPOSES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
MUTATIONS: dict[str, Callable[[Parts], Parts]] = {
    "another serial": lambda made: replace(made, serial=made.serial + 1),
    "serial 0": lambda made: replace(made, serial=0),
    "negative serial": lambda made: replace(made, serial=-5),
    "serial of 21 octets": lambda made: replace(made, serial=1 << 160),
    "another subject": lambda made: replace(made, subject=name("somebody")),
    "no subject": lambda made: replace(made, subject=x509.Name([])),
    "another issuer": lambda made: replace(made, issuer=name("other")),
    "another key": lambda made: replace(made, key=STRANGER),
    "a weak key": lambda made: replace(made, key=WEAK),
    "longer": lambda made: replace(made, ends=made.ends + timedelta(seconds=1)),
    "shorter": lambda made: replace(made, ends=made.ends - timedelta(seconds=1)),
    "later": lambda made: replace(made, begins=made.begins + timedelta(seconds=1)),
    "reversed": lambda made: replace(made, begins=made.ends, ends=made.begins),
    "beyond its issuer": lambda made: replace(made, ends=NOW + YEARS + timedelta(seconds=1)),
    "before its issuer": lambda made: replace(made, begins=NOW - timedelta(days=3)),
    "CA:true": partial(instead, value=x509.BasicConstraints(ca=True, path_length=None), critical=True),
    "CA:false that is not critical": partial(turned, kind=x509.BasicConstraints),
    "no basicConstraints": partial(without, kind=x509.BasicConstraints),
    "signs certificates": partial(instead, value=key_usage("digital_signature", "key_cert_sign"), critical=True),
    "signs lists": partial(instead, value=key_usage("digital_signature", "crl_sign"), critical=True),
    "more usages": partial(instead, value=key_usage("digital_signature", "key_encipherment"), critical=True),
    "usage not critical": partial(turned, kind=x509.KeyUsage),
    "no usage": partial(without, kind=x509.KeyUsage),
    "more purposes": partial(instead, value=PURPOSES),
    "no purposes": partial(without, kind=x509.ExtendedKeyUsage),
    "another identifier": partial(instead, value=IDENTIFIER),
    "no identifier": partial(without, kind=x509.SubjectKeyIdentifier),
    "another issuer's identifier": partial(instead, value=x509.AuthorityKeyIdentifier(b"x", None, None)),
    "no issuer's identifier": partial(without, kind=x509.AuthorityKeyIdentifier),
    "no names": partial(without, kind=x509.SubjectAlternativeName),
    "empty names": partial(instead, value=x509.SubjectAlternativeName([])),
    "other names": partial(instead, value=x509.SubjectAlternativeName([x509.DNSName("elsewhere")])),
    "a wildcard": partial(instead, value=x509.SubjectAlternativeName([x509.DNSName("*.kube")])),
    "names critical": partial(turned, kind=x509.SubjectAlternativeName),
    "an unplanned extension": partial(more, value=x509.OCSPNoCheck()),
    "an unknown extension": partial(more, value=UNKNOWN),
    "an extension twice": partial(more, value=USAGE, critical=True),
}


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("mutation", list(MUTATIONS.values()), ids=list(MUTATIONS))
def test_each_change_is_found_counted_and_not_signed(
    mutation: Callable[[Parts], Parts], caplog: pytest.LogCaptureFixture
) -> None:
    before = failures()

    with caplog.at_level(logging.ERROR), pytest.raises(LintFailed, match=r"Internal error: .*Nothing was signed"):
        lint(mutation(parts()).builder(), PLAN, INTENT, ISSUER)
    assert failures() == before + 1
    assert f"certificate {INTENT.serial:x} breaks our rules" in caplog.text


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_any_changes_together_are_found() -> None:
    dice = random.Random(20)
    for _ in range(200):
        made = parts()
        for mutation in dice.sample(list(MUTATIONS.values()), dice.randint(2, 4)):
            made = mutation(made)
        if made != parts():
            with pytest.raises(LintFailed):
                lint(made.builder(), PLAN, INTENT, ISSUER)


def test_a_plan_that_is_wrong_itself_is_found() -> None:
    """What was planned is no excuse: these rules hold whatever the plan says."""
    bad: list[x509.ExtensionType] = [
        x509.SubjectAlternativeName([x509.DNSName("*.kube")]),
        x509.SubjectAlternativeName([]),
        key_usage("key_cert_sign"),
        UNKNOWN,
    ]
    plans = [replace(PLAN, extensions=((value, True),)) for value in bad]
    plans += [replace(PLAN, public_key=WEAK), replace(PLAN, subject=x509.Name([]))]
    for plan in plans:
        with pytest.raises(LintFailed):
            lint(parts(plan).builder(), plan, INTENT, ISSUER)


@pytest.mark.parametrize(
    "intent",
    [
        replace(INTENT, not_after=NOW + YEARS + timedelta(days=1)),
        replace(INTENT, not_after=INTENT.not_before),
        replace(INTENT, serial=1 << 159),
        replace(INTENT, not_before=NOW - timedelta(days=9)),
    ],
)
def test_a_record_that_is_wrong_itself_is_found(intent: Intent) -> None:
    with pytest.raises(LintFailed):
        lint(parts(intent=intent).builder(), PLAN, intent, ISSUER)


def test_a_hash_that_is_not_ours_is_found() -> None:
    signed = parts().builder().sign(ec.generate_private_key(ec.SECP256R1()), SHA384())

    assert list(findings(signed, PLAN, INTENT, ISSUER)) == ["its signature algorithm is not the issuer's with SHA-256"]


@pytest.mark.parametrize("kind", list(KeyKind))
def test_whatever_the_profiles_plan_passes_and_is_what_gets_signed(kind: KeyKind) -> None:
    made = MADE[kind]
    authority = Authority(made.certificate, made.key)
    person, scaler = Asker("3f1c"), Asker(client_profiles.SCALER_REQUESTER)
    empty, asked = csr(names=[]), csr((SAN, False), key=rsa.generate_private_key(65537, 2048))
    plans = [
        PLAN,
        plan_leaf(csr((SAN, False), names=[]), "owner"),
        plan_leaf(asked, "owner"),
        plan_leaf(empty, "admin", person),
        plan_leaf(empty, "reader", person),
        plan_leaf(empty, "scaler", scaler),
        *(plan_node(asked, profile, "kube-master-0") for profile in node_profiles.PROFILES.values()),
    ]

    for plan in plans:
        token = authority.prepare(plan, INTENT)
        signed = x509.load_pem_x509_certificate(authority.sign(token).encode())
        assert signed.tbs_certificate_bytes == token.linted
        assert list(findings(signed, plan, INTENT, x509.load_pem_x509_certificate(made.certificate.encode()))) == []


def test_a_leaf_of_an_authority_with_a_later_clock_passes() -> None:
    """Its beginning is by the database's clock, the authority's by ours."""
    early = replace(INTENT, not_before=INTENT.not_before - timedelta(minutes=5))

    assert lint(parts(intent=early).builder(), PLAN, early, ISSUER)


def test_a_lint_is_no_use_for_another_certificate() -> None:
    made = MADE[KeyKind.EC_P256]
    authority = Authority(made.certificate, made.key)
    other = Token(authority, parts(intent=replace(INTENT, serial=9)).builder(), authority.prepare(PLAN, INTENT).linted)

    with pytest.raises(SpentToken, match="not what was linted"):
        authority.sign(other)


def test_who_asked_is_told_that_it_is_our_fault() -> None:
    assert issubclass(LintFailed, Refused)
