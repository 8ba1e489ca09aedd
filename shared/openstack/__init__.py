"""Everything that speaks OpenStack: one transport, one place that authenticates, one thin client per service."""
