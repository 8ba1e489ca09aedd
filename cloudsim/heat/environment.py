"""Environments: values for parameters, and which resource type means what."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import yaml

from cloudsim.heat.errors import BadRequest, StackValidationFailed

_SECTIONS = frozenset({"parameters", "parameter_defaults", "resource_registry", "event_sinks", "encrypted_param_names"})


class Environment:
    """Merged environments of one root stack, shared by its nested stacks. Not changed once made."""

    __slots__ = ("by_resource", "parameter_defaults", "parameters", "registry")

    def __init__(
        self,
        parameters: dict[str, Any],
        parameter_defaults: dict[str, Any],
        registry: dict[str, str],
        by_resource: dict[str, dict[str, str]],
    ) -> None:
        self.parameters, self.parameter_defaults = parameters, parameter_defaults
        self.registry, self.by_resource = registry, by_resource

    def resolve(self, type_name: str, resource_name: str) -> str:
        """The type or nested template that a resource's type stands for. Raises StackValidationFailed on a circle."""
        seen: list[str] = []
        while (target := self._mapped(type_name, resource_name)) is not None and target != type_name:
            seen.append(type_name)
            if target in seen:
                raise StackValidationFailed(f"The Resource Type ({type_name}) is mapped in a circle")
            type_name = target
        return type_name

    def _mapped(self, type_name: str, resource_name: str) -> str | None:
        for pattern, mapping in self.by_resource.items():
            if type_name in mapping and fnmatchcase(resource_name, pattern):
                return mapping[type_name]
        if type_name in self.registry:
            return self.registry[type_name]
        for pattern, target in self.registry.items():
            if pattern.endswith("*") and type_name.startswith(pattern[:-1]):
                return target[:-1] + type_name[len(pattern) - 1 :] if target.endswith("*") else target
        return None

    def document(self) -> dict[str, Any]:
        """As `GET …/environment` shows it, without the values of parameters, which may be hidden."""
        return {
            "parameter_defaults": self.parameter_defaults,
            "resource_registry": {**self.registry, "resources": self.by_resource},
        }

    def merged(self, documents: Iterable[Mapping[str, Any]], *, forget: Iterable[str] = ()) -> Environment:
        """This environment overlaid with others; parameters named in `forget` are dropped first."""
        dropped = set(forget)
        result = Environment(
            {key: value for key, value in self.parameters.items() if key not in dropped},
            dict(self.parameter_defaults),
            dict(self.registry),
            dict(self.by_resource),
        )
        for document in documents:
            result._overlay(document)
        return result

    def _overlay(self, document: Mapping[str, Any]) -> None:
        if unknown := sorted(set(document) - _SECTIONS):
            raise BadRequest(f'environment has wrong section "{unknown[0]}"')
        self.parameters |= _map_of(document, "parameters")
        self.parameter_defaults |= _map_of(document, "parameter_defaults")
        for name, target in _map_of(document, "resource_registry").items():
            if name == "resources":
                for pattern, mapping in (target or {}).items():
                    self.by_resource[pattern] = {key: value for key, value in mapping.items() if isinstance(value, str)}
            elif name != "base_url" and isinstance(target, str):
                self.registry[name] = target


def empty() -> Environment:
    """An environment that says nothing."""
    return Environment({}, {}, {}, {})


def parse(raw: Any) -> Mapping[str, Any]:
    """An environment document from a map or YAML text. Raises BadRequest."""
    if isinstance(raw, str):
        raw = _load(raw)
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise BadRequest("The environment is not a valid YAML mapping data type.")
    return raw


@lru_cache(maxsize=128)
def _load(text: str) -> Any:
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise BadRequest(f"Error parsing environment: {error}") from error


def _map_of(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    """A section of its own; texts are shared, since most are the same in every stack."""
    value = document.get(section) or {}
    if not isinstance(value, Mapping):
        raise BadRequest(f'environment section "{section}" must be a map')
    return {name: sys.intern(item) if type(item) is str else item for name, item in value.items()}
