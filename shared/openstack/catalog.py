"""Where the services are: the endpoints in a token's catalog, and the version that each client expects on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.domain.errors import CloudError
from shared.openstack.errors import title

# Other names under which a service's catalog entry is found (the service types authority's aliases).
_ALIASES = {"volumev3": ("block-storage",), "block-storage": ("volumev3",), "orchestration": ("heat",)}
# Services whose endpoint is registered with or without the version: appended when it is missing.
_VERSIONS = {"identity": "v3", "network": "v2.0", "image": "v2", "key-manager": "v1"}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Service type → URL without a trailing slash, for one region and interface."""

    urls: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_catalog(cls, catalog: Iterable[object], *, region: str, interface: str = "public") -> Endpoints:
        """Read a Keystone v3 catalog; entries that make no sense are passed over."""
        urls: dict[str, str] = {}
        for service in catalog:
            if not isinstance(service, Mapping) or not isinstance(service.get("type"), str):
                continue
            for endpoint in service.get("endpoints") or ():
                url = _url(endpoint, region, interface)
                if url:
                    urls.setdefault(service["type"], url)
        return cls(urls)

    def has(self, service: str) -> bool:
        """Whether the cloud offers this service to the token's project."""
        return self._find(service) is not None

    def url(self, service: str) -> str:
        """The URL of a service, version included.

        Raises:
            CloudError: the catalog has none.
        """
        found = self._find(service)
        if found is None:
            raise CloudError(
                f"The catalog of this cloud has no {service} endpoint ({title(service)}) in this region.",
                service=service,
                retryable=False,
            )
        version = _VERSIONS.get(service)
        return found if version is None or found.endswith(f"/{version}") else f"{found}/{version}"

    def _find(self, service: str) -> str | None:
        return next(
            (self.urls[name] for name in (service, *_ALIASES.get(service, ())) if name in self.urls),
            None,
        )


def _url(endpoint: object, region: str, interface: str) -> str | None:
    if not isinstance(endpoint, Mapping) or endpoint.get("interface") != interface:
        return None
    if region not in (endpoint.get("region_id"), endpoint.get("region")):
        return None
    url = endpoint.get("url")
    return url.rstrip("/") if isinstance(url, str) else None
