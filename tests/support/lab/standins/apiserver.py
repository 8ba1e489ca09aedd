"""kube-apiserver: certificates and flags checked, nodes kept in the real etcd, health told to whoever may know."""

from __future__ import annotations

import time
from contextlib import suppress
from ipaddress import IPv4Network

from .apiserver_paths import Server
from .checks import frozen, issued, names, need, notify, own_addresses, pair, pems, private, readable, subject_is
from .flags import Flags, parse, whole
from .store import Store
from .web import Client, serve

KNOWN = (
    "admission-control admission-control-config-file advertise-address apiserver-count authorization-mode "
    "bind-address authorization-policy-file authorization-webhook-config-file basic-auth-file cert-dir client-ca-file "
    "cloud-config cloud-provider cors-allowed-origins delete-collection-workers etcd-cafile etcd-certfile "
    "etcd-keyfile etcd-prefix etcd-servers etcd-servers-overrides event-ttl experimental-keystone-url "
    "external-hostname insecure-bind-address insecure-port kubelet-certificate-authority kubelet-client-certificate "
    "kubelet-client-key kubelet-timeout kubernetes-service-node-port max-requests-inflight min-request-timeout "
    "runtime-config secure-port service-account-key-file service-cluster-ip-range service-node-port-range ssh-keyfile "
    "ssh-user storage-versions storage-backend tls-cert-file tls-private-key-file token-auth-file watch-cache-sizes v "
    "vmodule log-flush-frequency requestheader-client-ca-file requestheader-allowed-names "
    "requestheader-extra-headers-prefix requestheader-group-headers requestheader-username-headers "
    "proxy-client-cert-file proxy-client-key-file enable-admission-plugins disable-admission-plugins "
    "service-account-signing-key-file service-account-issuer api-audiences kubelet-preferred-address-types "
    "kubelet-port audit-log-path audit-log-maxage audit-policy-file feature-gates endpoint-reconciler-type "
    "tls-min-version tls-cipher-suites oidc-issuer-url oidc-client-id"
)
BOOLEANS = (
    "allow-privileged anonymous-auth enable-swagger-ui kubelet-https logtostderr alsologtostderr profiling "
    "service-account-lookup watch-cache etcd-quorum-read repair-malformed-updates enable-bootstrap-token-auth "
    "enable-garbage-collector enable-aggregator-routing"
)
REQUIRED = "etcd-servers service-cluster-ip-range"
TOLD, REQUEST_HEADERS = "extension-apiserver-authentication", "requestheader-client-ca-file"


def main(name: str, arguments: list[str]) -> None:
    """As `kube-apiserver`."""
    flags = parse(arguments, KNOWN, booleans=BOOLEANS, required=REQUIRED)
    services = IPv4Network(flags["service-cluster-ip-range"])
    modern = "RBAC" in flags.get("authorization-mode", "")
    secure, insecure = whole(flags, "secure-port", 6443), whole(flags, "insecure-port", 0 if modern else 8080)
    store = _store(flags)
    if "service-account-key-file" in flags:
        readable(flags["service-account-key-file"])
    if flags.get("cloud-provider") == "openstack":
        private(flags.get("cloud-config", ""))
    server = Server(store, judges=modern)
    if secure:
        _check_certificates(flags, services)
        files = (flags["tls-cert-file"], flags["tls-private-key-file"])
        address = flags.get("bind-address", "0.0.0.0")
        clients = flags["client-ca-file"]
        serve(address, secure, server.guarded, certificate=files, client_authority=clients, reloads=modern)
    if insecure:
        need(not modern, "there is no insecure port any more")
        address = flags.get("insecure-bind-address", "127.0.0.1")
        need(not secure or address == "127.0.0.1", f"whoever reaches {address}:{insecure} needs no certificate")
        serve(address, insecure, server.answer)
    notify()
    while True:
        if modern:
            _tell(server, flags)
        time.sleep(2)


def _tell(server: Server, flags: Flags) -> None:
    """What aggregated servers are told to trust: each kube-apiserver adds its own, and nobody takes any off."""
    with suppress(OSError):
        before = server.config_map("kube-system", TOLD)
        after = dict(before)
        for key in ("client-ca-file", REQUEST_HEADERS):
            told, ours = pems(before.get(key, "")), pems(readable(flags[key]).read_text())
            after[key] = "".join([*told, *(one for one in ours if one not in told)])
        if after != before:
            server.keep_config_map("kube-system", TOLD, after)


def _store(flags: Flags) -> Store:
    endpoints = flags["etcd-servers"].split(",")
    files = (flags.get("etcd-cafile", ""), flags.get("etcd-certfile", ""), flags.get("etcd-keyfile", ""))
    if any(files):
        need(all(files), "of --etcd-cafile, --etcd-certfile and --etcd-keyfile some are missing")
        pair(files[1], files[2])
        issued(files[1], files[0], "sslclient")
    for endpoint in endpoints:
        loopback = endpoint.startswith(("http://127.0.0.1:", "http://localhost:"))
        need(endpoint.startswith("https:") == any(files) or loopback, f"{endpoint} does not fit the etcd certificates")
    store = Store(endpoints, Client(frozen(files[0]) if files[0] else "", *files[1:]))
    store.wait()
    return store


def _check_certificates(flags: Flags, services: IPv4Network) -> None:
    for name in ("tls-cert-file", "tls-private-key-file", "client-ca-file"):
        need(flags.get(name), f"the flag --{name} is missing or empty")
    authority = flags["client-ca-file"]
    pair(flags["tls-cert-file"], flags["tls-private-key-file"])
    issued(flags["tls-cert-file"], authority, "sslserver")
    wanted = {"kubernetes", "kubernetes.default", "kubernetes.default.svc", str(services[1]), "127.0.0.1"}
    wanted |= {address for address in own_addresses() if address.startswith("10.0.")}
    missing = sorted(wanted - names(flags["tls-cert-file"]))
    need(not missing, f"{flags['tls-cert-file']} lacks {', '.join(missing)}")
    for certificate, key in (
        ("kubelet-client-certificate", "kubelet-client-key"),
        ("proxy-client-cert-file", "proxy-client-key-file"),
    ):
        if certificate in flags:
            pair(flags[certificate], flags.get(key, ""))
    if "kubelet-client-certificate" in flags:
        issued(flags["kubelet-client-certificate"], flags.get("kubelet-certificate-authority", authority), "sslclient")
    if "proxy-client-cert-file" in flags:
        front = flags.get("requestheader-client-ca-file", "")
        subject = issued(flags["proxy-client-cert-file"], front, "sslclient")
        allowed = flags.get("requestheader-allowed-names", "")
        if allowed:
            subject_is(subject, f"CN={allowed}")
