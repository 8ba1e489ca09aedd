"""The gateway: Magnum's REST API v1 over the database, the bus and the caller's cloud."""
