"""An operator's policy file, read with care: what oslo.policy would log and then take for "nobody" or "everybody"
is refused here by name, so that a slip of the pen neither locks a cloud nor opens it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

import structlog
import yaml
from oslo_policy import policy as oslo
from typing_extensions import override

from services.api.policy_rules import DEFAULTS

_log = structlog.get_logger(__name__)

_OWN_CHECKS: Final = "oslo_policy._checks"
_SAMPLE_TARGET: Final = dict.fromkeys(("project_id", "user_id", "trustee_user_id", "trustee_domain_id"), "")


class BrokenPolicy(Exception):
    """The policy cannot be used; a sentence that names the file and the rule."""


class _Ear(logging.Filter):
    """oslo.policy's parser tells of a rule that it does not understand in its log alone."""

    heard = False

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        self.heard = True
        return False


def read(path: Path | None) -> oslo.Rules:
    """All rules: the defaults, and over them those of the file (YAML or JSON, which is YAML too).

    Raises:
        BrokenPolicy: the file cannot be read, or one of its rules means nothing.
    """
    where = "the defaults" if path is None else str(path)
    texts: dict[str, object] = {**DEFAULTS, **({} if path is None else _written(path))}
    checks = oslo.Rules()
    for name, text in texts.items():
        checks.update(_parsed(where, name, text))
    for name, check in checks.items():
        _judge(where, name, check, checks)
    if unknown := sorted(name for name in texts.keys() - DEFAULTS.keys() if ":" in name):
        _log.warning("the policy file has rules that nothing asks for", file=where, rules=unknown)
    return checks


def _written(path: Path) -> Mapping[str, object]:
    try:
        found = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise BrokenPolicy(f"The policy file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BrokenPolicy(f"The policy file {path} is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise BrokenPolicy(f"The policy file {path} is no map of rules' names to rules.")
    return found


def _parsed(where: str, name: str, text: object) -> oslo.Rules:
    """The rule as a tree. An absent value is refused: oslo.policy takes it for "everybody", as it does "" and "@"."""
    if not isinstance(text, str | list):
        raise BrokenPolicy(f'{where}: the rule {name} must be a text. (To allow it to everybody, write "@".)')
    ear, parser = _Ear(), logging.getLogger("oslo_policy._parser")
    parser.addFilter(ear)
    try:
        parsed = oslo.Rules.from_dict({name: cast("str", text)})  # lists are an older form of the language
    except Exception:  # whatever a strange list makes of it
        ear.heard = True
    finally:
        parser.removeFilter(ear)
    if ear.heard:
        raise BrokenPolicy(f"{where}: the rule {name} cannot be understood: {text!r}")
    return parsed


def _judge(where: str, name: str, check: object, checks: oslo.Rules) -> None:
    """Refuse what could only fail, or surprise, while a request waits for it."""
    for leaf in _leaves(check):
        if isinstance(leaf, oslo.RuleCheck):
            if leaf.match not in checks:
                raise BrokenPolicy(f"{where}: the rule {name} refers to the rule {leaf.match}, which does not exist.")
            if name in _reached(leaf.match, checks):
                raise BrokenPolicy(f"{where}: the rule {name} refers to itself.")
        elif type(leaf).__module__ != _OWN_CHECKS:  # http: and plug-ins: they would hold up every other request
            raise BrokenPolicy(f"{where}: the rule {name} has a check that is not supported here: {leaf}")
        elif isinstance(leaf, oslo.Check):
            try:
                _ = leaf.match % _SAMPLE_TARGET
            except KeyError as error:
                raise BrokenPolicy(
                    f"{where}: the rule {name} asks for %({error.args[0]})s, which no row has."
                ) from None
            except (TypeError, ValueError):
                raise BrokenPolicy(f"{where}: the rule {name} has a check with a wrong pattern: {leaf}") from None


def _leaves(check: object) -> Iterator[object]:
    if isinstance(check, oslo.NotCheck):
        yield from _leaves(check.rule)
    elif isinstance(check, oslo.AndCheck | oslo.OrCheck):
        for part in check.rules:
            yield from _leaves(part)
    else:
        yield check


def _reached(name: str, checks: oslo.Rules) -> set[str]:
    """The rule and all that it refers to."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        if (one := waiting.pop()) not in reached and one in checks:
            reached.add(one)
            waiting += [leaf.match for leaf in _leaves(checks[one]) if isinstance(leaf, oslo.RuleCheck)]
    return reached
