"""Settings come from the environment, say what is wrong with it, and keep secrets to themselves."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from shared.runtime.settings import CommonSettings, Timing


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("JEROBOAM_DATABASE_URL", "postgresql://jb_api:hush@localhost/db")
    monkeypatch.setenv("JEROBOAM_KEYSTONE_URL", "http://127.0.0.1:5000/v3")
    monkeypatch.setenv("JEROBOAM_SERVICE_PASSWORD", "hush-too")
    return monkeypatch


def load() -> CommonSettings:
    return CommonSettings()


def test_networks_are_a_comma_list(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JEROBOAM_EGRESS_ALLOW", "127.0.0.0/8, 2001:db8::/32")
    assert load().egress_allow == (ip_network("127.0.0.0/8"), ip_network("2001:db8::/32"))


def test_an_empty_value_means_absent(environment: pytest.MonkeyPatch) -> None:
    for name in ("AMQP_URL", "METRICS_PORT", "FAILPOINT_DIR", "EGRESS_ALLOW"):
        environment.setenv(f"JEROBOAM_{name}", "")
    settings = load()
    assert (settings.amqp_url, settings.metrics_port, settings.failpoint_dir, settings.egress_allow) == (
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("EGRESS_ALLOW", "10.0.0.1/8"), ("TIME_SCALE", "0"), ("METRICS_PORT", "70000"), ("METRICS_PORT", "many")],
)
def test_a_bad_value_is_refused_by_name(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"JEROBOAM_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        load()


def test_secrets_show_neither_in_repr_nor_in_errors(environment: pytest.MonkeyPatch) -> None:
    assert "hush" not in repr(load())
    environment.setenv("JEROBOAM_TIME_SCALE", "hush")
    with pytest.raises(ValidationError) as caught:
        load()
    assert "hush" not in str(caught.value)


def test_the_protocols_times_scale() -> None:
    assert Timing.scaled(0.1) == Timing(
        lease=6.0,
        heartbeat=1.5,
        cancel_after=4.0,
        call_limit=3.0,
        quarantine=3.0,
        sweep=0.5,
    )
