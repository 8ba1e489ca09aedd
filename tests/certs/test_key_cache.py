"""How many opened keys stay in memory, and how long."""

from __future__ import annotations

import gc
import weakref
from uuid import uuid4

from services.certs.key_cache import KeyCache
from tests.certs.requests import new_authority


def test_the_least_recently_used_makes_room() -> None:
    cache, (_, authority) = KeyCache(2, 10.0), new_authority()
    one, two, three = uuid4(), uuid4(), uuid4()
    for key in (one, two):
        cache.put(key, authority)
    cache.get(one)
    cache.put(three, authority)

    assert (cache.get(one), cache.get(two), cache.get(three)) == (authority, None, authority)


def test_an_entry_ends_with_its_time_however_often_it_is_used() -> None:
    now = [0.0]
    cache, (_, authority) = KeyCache(2, 10.0, clock=lambda: now[0]), new_authority()
    key = uuid4()
    cache.put(key, authority)
    now[0] = 9.9
    assert cache.get(key) is authority
    now[0] = 10.0

    assert cache.get(key) is None
    assert len(cache) == 0


def test_what_is_forgotten_is_gone() -> None:
    cache, (_, authority) = KeyCache(2, 10.0), new_authority()
    key = uuid4()
    cache.put(key, authority)
    cache.forget(key)
    cache.forget(key)

    assert cache.get(key) is None


def test_what_nobody_asks_for_can_be_dropped_too() -> None:
    now = [0.0]
    cache, (_, authority) = KeyCache(2, 10.0, clock=lambda: now[0]), new_authority()
    cache.put(uuid4(), authority)
    kept = weakref.ref(authority)
    del authority
    cache.drop_old()
    assert kept() is not None
    now[0] = 10.0
    cache.drop_old()
    gc.collect()

    assert kept() is None
