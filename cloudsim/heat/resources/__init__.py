"""Resource types, one module a service. `registry` maps type names to kinds."""
