"""Kubernetes on CoreOS (Container Linux, Flatcar)."""
