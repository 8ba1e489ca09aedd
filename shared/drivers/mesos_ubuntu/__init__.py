"""Mesos with Marathon on Ubuntu."""
