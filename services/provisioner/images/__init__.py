"""The image of local hosts: built once from stock Debian, cached under a hash of its recipe."""

from services.provisioner.images.build import ensure_image

__all__ = ["ensure_image"]
