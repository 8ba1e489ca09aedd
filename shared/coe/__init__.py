"""Clients into bays: what runs in them, and moving it away from a node. One module an orchestration engine."""
