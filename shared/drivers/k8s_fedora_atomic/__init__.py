"""Kubernetes on Fedora Atomic (vm, fedora-atomic, kubernetes). README.md says what it honours, opens and starts."""
