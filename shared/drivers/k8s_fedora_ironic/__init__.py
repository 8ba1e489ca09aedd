"""Kubernetes on Fedora on bare metal (Ironic)."""
