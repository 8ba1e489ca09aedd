"""Certificates of people and of our scaler: what each profile gives, and what it refuses, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.certs.client_policy import ClientPolicy, SubjectPattern, parse_patterns
from services.certs.profiles import Asker, LeafPlan, Refused, plan_leaf, plan_node
from shared.domain import client_profiles, node_profiles
from tests.certs.requests import CLIENT_AUTH, SAN, csr, key_usage

PERSON = Asker("3f1c")
SCALER = Asker(client_profiles.SCALER_REQUESTER)
SERVER_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
RSA = rsa.generate_private_key(65537, 2048)
Names = Sequence[tuple[x509.ObjectIdentifier, str]]


def subject(common_name: str, *organizations: str) -> Names:
    return [(NameOID.COMMON_NAME, common_name), *((NameOID.ORGANIZATION_NAME, one) for one in organizations)]


def refusal(request: str, profile: str, asker: Asker = PERSON, policy: ClientPolicy | None = None) -> str:
    with pytest.raises(Refused) as caught:
        plan_leaf(request, profile, asker, policy)
    return caught.value.message


def names(*values: str | x509.GeneralName) -> tuple[x509.SubjectAlternativeName, bool]:
    return x509.SubjectAlternativeName([x509.DNSName(one) if isinstance(one, str) else one for one in values]), False


@pytest.mark.parametrize(
    ("profile", "asker", "text"),
    [
        ("admin", PERSON, "CN=admin,O=system:masters"),
        ("reader", PERSON, "CN=reader,O=jeroboam:readers"),
        ("scaler", SCALER, "CN=jeroboam-scaler,O=jeroboam:scaler"),
    ],
)
def test_an_empty_subject_gets_the_profiles(profile: str, asker: Asker, text: str) -> None:
    plan = plan_leaf(csr(names=[]), profile, asker)

    assert plan.subject_text == text
    assert plan.extensions == ((key_usage("digital_signature"), True), (CLIENT_AUTH, False))
    assert plan.addresses == frozenset()


@pytest.mark.parametrize(
    ("profile", "given"),
    [
        ("admin", subject("admin", "system:masters")),
        ("admin", subject("3f1c", "system:masters")),
        ("admin", list(reversed(subject("3f1c", "system:masters")))),
        ("reader", subject("3f1c", "jeroboam:readers")),
    ],
)
def test_the_right_subject_is_taken(profile: str, given: Names) -> None:
    asked = (CLIENT_AUTH, True), (key_usage("digital_signature", "key_encipherment"), True)
    plan = plan_leaf(csr(*asked, names=given, key=RSA), profile, PERSON)

    assert sorted(plan.subject_text.split(",")) == sorted(csr_text(given))
    assert plan.extensions == ((key_usage("digital_signature", "key_encipherment"), True), (CLIENT_AUTH, False))


def csr_text(given: Names) -> list[str]:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in given]).rfc4514_string().split(",")


@pytest.mark.parametrize(
    ("profile", "given"),
    [
        ("admin", subject("someone-else", "system:masters")),
        ("admin", subject("admin")),
        ("admin", subject("admin", "system:masters", "dev")),
        ("reader", subject("reader", "system:masters")),
        ("reader", subject("admin", "jeroboam:readers")),
        ("reader", [*subject("reader", "jeroboam:readers"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "x")]),
    ],
)
def test_another_subject_is_refused_and_the_right_one_told(profile: str, given: Names) -> None:
    message = refusal(csr(names=given), profile)

    organization = client_profiles.PROFILES[profile].organization
    assert f"the subject of profile {profile} is CN={profile},O={organization} or CN=3f1c,O={organization}" in message


@pytest.mark.parametrize(
    ("extension", "critical", "reason"),
    [
        (SAN, False, "carries no names of hosts"),
        (SERVER_AUTH, False, "only extendedKeyUsage of profile reader is clientAuth"),
        (key_usage("digital_signature", "content_commitment"), False, "keyUsage of profile reader"),
        (key_usage("key_cert_sign"), False, "keyUsage of profile reader"),
        (x509.BasicConstraints(ca=True, path_length=None), False, "Extension 'basicConstraints' not allowed"),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True, "Extension '1.2.3.4' not"),
    ],
)
def test_what_contradicts_the_profile_is_refused(extension: x509.ExtensionType, critical: bool, reason: str) -> None:
    assert reason in refusal(csr((extension, critical), names=[]), "reader")


@pytest.mark.parametrize("kind", ["etcd", "front_proxy"])
@pytest.mark.parametrize("profile", ["admin", "reader"])
def test_only_the_clusters_own_authority_signs_them(profile: str, kind: str) -> None:
    assert f"not of {kind}" in refusal(csr(names=[]), profile, Asker("3f1c", kind))


def test_a_scalers_certificate_is_for_our_scaler_alone() -> None:
    assert refusal(csr(names=[]), "scaler") == "Certificates of profile scaler are not for people."
    assert "is an elliptic curve's" in refusal(csr(names=[], key=RSA), "scaler", SCALER)
    assert "the subject of profile scaler is CN=jeroboam-scaler,O=jeroboam:scaler (or empty)" in refusal(
        csr(names=subject("service:scaler", "jeroboam:scaler")), "scaler", SCALER
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (names("*.kube"), "the wildcard '*.kube' is not allowed"),
        (names("a*b"), "the wildcard 'a*b' is not allowed"),
        (names("kube", "under_score", "bad name"), "'bad name' in its subjectAltName is not a host's name"),
        (names("nul\x00byte"), "'nul?byte' in its subjectAltName is not a host's name"),
        (names(f"{'a' * 64}.kube"), "is not a host's name"),
        (names(".".join(["a" * 60] * 5)), "is not a host's name"),
        (names(*(f"h{number}" for number in range(101))), "has 101 names, allowed are 1 to 100"),
        (names(x509.IPAddress(ip_network("10.0.0.0/24"))), "10.0.0.0/24 in its subjectAltName is a network"),
        (names(x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))), "another kind of name"),
        (names(x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")), "another kind of name"),
        (names(x509.RFC822Name("a b@c")), "is not allowed"),
    ],
)
def test_names_that_no_owner_gets(given: tuple[x509.SubjectAlternativeName, bool], reason: str) -> None:
    message = refusal(csr(given), "owner")

    assert message.startswith("Received invalid csr: ")
    assert reason in message
    if all(isinstance(one, x509.DNSName | x509.IPAddress) for one in given[0]):  # nodes' leave others out
        with pytest.raises(Refused):
            plan_node(csr(given), node_profiles.PROFILES["apiserver"], "master-0")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (subject("a", "o" * 65), "O in its subject has 65 characters"),
        (subject("*.kube.example"), "the wildcard '*.kube.example' is not allowed"),
        ([(NameOID.ORGANIZATION_NAME, str(number)) for number in range(21)], "has 21 parts, allowed are 20"),
        (subject("tab\there"), "control characters"),
        (subject("right\u202eleft"), "control characters"),
        ([], "neither a subject nor a subjectAltName"),
    ],
)
def test_subjects_that_no_owner_gets(given: Names, reason: str) -> None:
    assert reason in refusal(csr(names=given), "owner")


@pytest.mark.filterwarnings("ignore:Attribute's length")
@pytest.mark.parametrize("length", [65, 5000])
def test_a_common_name_that_is_too_long_is_refused(length: int) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a" * length, _validate=False)])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    pem = request.public_bytes(Encoding.PEM).decode()

    assert f"CN in its subject has {length} characters, allowed are 1 to 64" in refusal(pem, "owner")
    assert f"CN in its subject has {length} characters, allowed are 1 to 64" in refusal(pem, "admin")


def test_without_a_subject_the_names_become_critical() -> None:
    plan = plan_leaf(csr((SAN, False), names=[]), "owner")

    assert plan.extensions == ((SAN, True),)


def test_every_address_of_an_owners_request_is_found() -> None:
    asked = names("kube", "192.0.2.1", "192.0.2.2.", x509.IPAddress(ip_address("192.0.2.3")))
    plan = plan_leaf(csr(asked, names=subject("192.0.2.4", "192.0.2.5")), "owner")

    assert {str(one) for one in plan.addresses} == {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}


class TestSubjects:
    """JEROBOAM_OWNER_SUBJECTS."""

    @pytest.mark.parametrize(
        ("pattern", "text", "matches"),
        [
            ("CN=*,O=dev-*", [("CN", "a"), ("O", "dev-1")], True),
            ("CN=*,O=dev-*", [("O", "dev-1"), ("CN", "a")], True),
            ("CN=*,O=dev-*", [("CN", "a"), ("O", "dev-1"), ("O", "system:masters")], False),
            ("CN=*,O=dev-*", [("CN", "a"), ("O", "ops")], False),
            ("CN=*,O=dev-*", [("CN", "a")], False),
            ("CN=*", [], False),
            ("O=*,O=dev", [("O", "dev"), ("O", "x")], True),
            ("O=dev,O=*", [("O", "dev"), ("O", "x")], True),
            ("O=dev,O=dev", [("O", "dev"), ("O", "x")], False),
            ("cn = a", [("CN", " a")], True),
            ("CN=a.c", [("CN", "abc")], False),
            ("CN=a\\*", [("CN", "ab")], False),
            ("CN=a\\*", [("CN", "a*")], True),
            ("CN=a\\,b\\;c", [("CN", "a,b;c")], True),
            ("CN=Dev", [("CN", "dev")], False),
            ("1.2.840.113549.1.9.1=*@example.org", [("1.2.840.113549.1.9.1", "a@example.org")], True),
            ("CN=a*", [("CN", "a\nb")], True),
        ],
    )
    def test_parts_go_together_one_to_one(self, pattern: str, text: list[tuple[str, str]], matches: bool) -> None:
        assert SubjectPattern.parse(pattern).matches(text) is matches

    @pytest.mark.parametrize("text", ["CN", "=a", "CN=", "CN=a,", "C N=a", "CN=a;O"])
    def test_what_is_no_pattern_is_told(self, text: str) -> None:
        with pytest.raises(ValueError, match="is TYPE=VALUE"):
            parse_patterns(text)

    def test_they_hold_for_every_profile_of_people(self) -> None:
        policy = ClientPolicy(parse_patterns("CN=*,O=dev-*; CN=reader,O=jeroboam:readers;"))

        plan_leaf(csr(names=subject("ann", "dev-1")), "owner", PERSON, policy)
        plan_leaf(csr(names=[]), "reader", PERSON, policy)
        plan_leaf(csr(names=[]), "scaler", SCALER, policy)
        refused = [
            (subject("ann", "system:masters"), "owner"),
            ([], "admin"),
            (subject("3f1c", "jeroboam:readers"), "reader"),
        ]
        for given, profile in refused:
            assert "operator does not allow the subject" in refusal(csr(names=given), profile, PERSON, policy)
        with pytest.raises(Refused, match="does not allow the subject ''"):
            plan_leaf(csr((SAN, False), names=[]), "owner", PERSON, policy)

    @pytest.mark.parametrize(
        ("pattern", "organization", "matches"),
        [
            ("*", "dev", True),
            ("*", "ecosystem:x", True),
            ("*", "system:masters", False),
            ("sys*", "system:masters", False),
            ("*:masters", "system:masters", False),
            ("system*", "system:masters", False),
            ("system:*", "system:masters", True),
            ("system:m*", "system:masters", True),
            ("\\system:m*", "system:masters", True),
            ("system:masters", "system:masters", True),
            ("*", "kubeadm:cluster-admins", False),
            ("kubeadm:*", "kubeadm:cluster-admins", True),
            ("*", "jeroboam:scaler", False),
            ("jeroboam:*", "jeroboam:readers", True),
        ],
    )
    def test_a_star_never_means_the_names_that_kubernetes_and_we_keep(
        self, pattern: str, organization: str, matches: bool
    ) -> None:
        assert SubjectPattern.parse(f"O={pattern}").matches([("O", organization)]) is matches

    @pytest.mark.parametrize("patterns", ["CN=*,O=dev-*;CN=*,O=jeroboam:readers", "CN=*,O=*", "CN=*"])
    @pytest.mark.parametrize(
        ("kind", "given"),
        [
            ("front_proxy", subject("front-proxy-client", "dev-1")),
            ("front_proxy", subject("front-proxy-client")),
            ("etcd", subject("ann", "dev-1")),
            ("etcd", subject("ann")),
            ("kubernetes", subject("system:kube-controller-manager", "dev-1")),
            ("kubernetes", subject("system:admin")),
            ("kubernetes", subject("ann", "system:masters")),
            ("kubernetes", subject("ann", "dev-1", "system:masters")),
        ],
    )
    def test_no_authority_and_no_name_is_a_way_around_them(self, patterns: str, kind: str, given: Names) -> None:
        policy = ClientPolicy(parse_patterns(patterns))

        plan_leaf(csr(names=given), "owner", Asker("3f1c", kind), ClientPolicy())
        message = refusal(csr(names=given), "owner", Asker("3f1c", kind), policy)
        assert "service's operator does not allow" in message
        assert kind == "kubernetes" or f"of the {kind} authority" in message

    def test_none_means_every_subject(self) -> None:
        assert parse_patterns("  ;  ") == ()
        plan_leaf(csr(names=subject("x", "system:masters", "y")), "owner", PERSON, ClientPolicy())


class TestValidity:
    """How long a certificate may be wanted for."""

    YEARS = timedelta(days=1825)

    def test_without_settings_it_is_as_long_as_in_magnum(self) -> None:
        for profile in ("owner", "admin", "reader"):
            assert ClientPolicy().validity(profile, None, self.YEARS) == self.YEARS

    def test_the_operators_usual_and_longest(self) -> None:
        policy = ClientPolicy(usual=timedelta(hours=8), longest=timedelta(hours=24))

        assert policy.validity("owner", None, self.YEARS) == timedelta(hours=8)
        assert policy.validity("reader", 24 * 3600, self.YEARS) == timedelta(hours=24)
        with pytest.raises(Refused, match=r"for 0:10:00 to 1 day, 0:00:00, not for 1 day, 0:00:01"):
            policy.validity("admin", 24 * 3600 + 1, self.YEARS)
        with pytest.raises(Refused, match="not for 0:09:59"):
            policy.validity("admin", 599, self.YEARS)
        assert ClientPolicy(longest=timedelta(hours=1)).validity("owner", None, self.YEARS) == timedelta(hours=1)

    @pytest.mark.parametrize("seconds", [0, -1, 10**9])
    def test_nonsense_is_refused(self, seconds: int) -> None:
        with pytest.raises(Refused):
            ClientPolicy().validity("owner", seconds, self.YEARS)

    def test_a_scalers_lasts_an_hour(self) -> None:
        assert ClientPolicy().validity("scaler", None, self.YEARS) == timedelta(hours=1)
        with pytest.raises(Refused):
            ClientPolicy().validity("scaler", 3601, self.YEARS)


def test_weak_exponents_and_curves_are_refused_for_everybody() -> None:
    curve = csr(names=[], key=ec.generate_private_key(ec.SECP256K1()))
    for profile, asker in (("owner", PERSON), ("admin", PERSON), ("scaler", SCALER)):
        assert "secp256k1 is not allowed" in refusal(curve, profile, asker)
    three = csr(names=[], key=rsa.generate_private_key(3, 2048))
    assert "exponent is below 65537" in refusal(three, "admin")


def test_a_plan_is_the_same_every_time() -> None:
    request = csr(names=[])
    plans: list[LeafPlan] = [plan_leaf(request, "admin", PERSON) for _ in range(2)]

    assert plans[0] == plans[1]
