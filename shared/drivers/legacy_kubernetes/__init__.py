"""Kubernetes of the guide's time, from packages or a hyperkube image: what its drivers share. No driver of its own."""
