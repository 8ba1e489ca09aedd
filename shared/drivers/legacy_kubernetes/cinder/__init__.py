"""Payload pieces for volume_driver cinder: how Kubernetes of the guide's time gets at volumes of today's cloud."""
