"""The image of local hosts: built once from stock Debian, cached under a hash of its recipe."""

from services.provisioner.images.build import HostImage, ensure_image, image_name

__all__ = ["HostImage", "ensure_image", "image_name"]
