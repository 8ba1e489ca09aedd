"""Cinder's fake driver, able to make a volume from an image: servers that boot from volumes need that.

It runs inside the mini-cloud, with the mini-cloud's packages. The fake driver alone would fetch the image and write it
with programs that are not there.
"""

# mypy: ignore-errors
# The base class is Cinder's, which is no dependency of ours.

from __future__ import annotations

from cinder.tests.fake_driver import FakeLoggingVolumeDriver


class Volumes(FakeLoggingVolumeDriver):
    """Volumes of nothing."""

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        """Say that the volume holds the image already."""
        return {}, True
