"""What Heat's messages say, real ones and rubbish, and the settings that name where they come from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from services.provisioner.notified import bays_meant
from services.provisioner.settings import ProvisionerSettings
from shared.openstack.notifications import Source
from shared.openstack.stack_news import read
from tests.support.heat_bus import inside, notification, recorded

FIRST = "0f0e7b0c-1111-4222-8333-444455556666"
SECOND = "0f0e7b0c-2222-4222-8333-444455556666"


def test_what_real_messages_say() -> None:
    news = [read(sent.body) for sent in recorded()]
    assert all(news)
    top = [one for one in news if one is not None and one.stack_name.count("-") == 2]
    assert [(one.event.removeprefix("orchestration.stack."), one.state, one.ended) for one in top] == [
        ("create.start", "CREATE_IN_PROGRESS", False),
        ("create.end", "CREATE_COMPLETE", True),
        ("update.start", "UPDATE_IN_PROGRESS", False),
        ("update.end", "UPDATE_COMPLETE", True),
        ("create.start", "CREATE_IN_PROGRESS", False),
        ("create.error", "CREATE_FAILED", True),
        ("delete.start", "DELETE_IN_PROGRESS", False),
        ("delete.end", "DELETE_COMPLETE", True),
        ("delete.start", "DELETE_IN_PROGRESS", False),
        ("delete.end", "DELETE_COMPLETE", True),
    ]
    assert top[0].tags == ("jeroboam", f"jeroboam-bay-{FIRST}")
    assert {str(first) for one in top for first in bays_meant(one) or ()} == {FIRST, SECOND}


def test_nested_stacks_mean_no_bay() -> None:
    nested = [one for sent in recorded() if (one := read(sent.body)) is not None and "-group-" in one.stack_name]
    assert len(nested) >= 10
    assert [bays_meant(one) for one in nested] == [None] * len(nested)
    assert [bays_meant(replace(one, tags=None)) for one in nested] == [None] * len(nested)


def test_a_heat_that_tells_no_tags_is_understood_by_the_name() -> None:
    for name in ("prod-0f0e7b0c1111-1", "prod-0f0e7b0c1111-12-s3"):
        news = read(notification("create.end", "CREATE_COMPLETE", name=name, project="p", tags=None).body)
        assert news is not None
        first, last = bays_meant(news) or pytest.fail(name)
        assert (first.hex, last.hex) == ("0f0e7b0c1111" + 20 * "0", "0f0e7b0c1111" + 20 * "f")
    for name in ("prod", "prod-1", "0f0e7b0c1111-1"):
        news = read(notification("create.end", "CREATE_COMPLETE", name=name, project="p", tags=None).body)
        assert news is not None
        assert bays_meant(news) is None


def test_messages_without_envelope_are_understood() -> None:
    sent = recorded()[0]
    assert read(json.dumps(inside(sent)).encode()) == read(sent.body)


RUBBISH = [
    b"",
    b"\xff\xfe",
    b"[]",
    b"{}",
    b'"text"',
    b"null",
    b'{"oslo.message": 7}',
    b'{"oslo.message": "no json"}',
    b'{"oslo.message": "[]"}',
    b'{"event_type": "orchestration.stack.create.end"}',
    b'{"event_type": "orchestration.stack.create.end", "payload": {"stack_name": "a"}}',
    b'{"event_type": 1, "payload": {}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_is_called_so(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(body)


def test_other_events_are_passed_over() -> None:
    assert read(b'{"event_type": "orchestration.autoscaling.end", "payload": {}}') is None


def _settings(**own: Any) -> ProvisionerSettings:
    return ProvisionerSettings(database_url="d", keystone_url="k", service_password=SecretStr("p"), **own)


def test_settings_name_brokers_and_keep_the_password() -> None:
    assert _settings().heat_notifications_source is None
    assert _settings(heat_notifications_url="").heat_notifications_source is None
    urls = ("amqp://u:s3cret@a:5672/v", "amqps://u:s3cret@b/v?cafile=/x")
    given = _settings(heat_notifications_url=" ".join(urls), heat_notifications_topic="t")
    assert given.heat_notifications_source == Source(urls, topic="t")
    assert "s3cret" not in f"{given!r} {given.model_dump()}"
    for wrong in ("rabbit://u:s3cret@a/", "amqp://", "amqp://u:s3cret@a/ b"):
        with pytest.raises(ValidationError, match="begins with amqp://") as refusal:
            _settings(heat_notifications_url=wrong)
        assert "s3cret" not in str(refusal.value)
    with pytest.raises(ValidationError, match="heat_notifications_queue"):
        _settings(heat_notifications_queue="notifications.info")
