"""Doors: what a request looks like and what is answered. Rules are in `services.api.usecases`."""
