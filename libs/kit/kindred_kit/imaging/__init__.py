"""Images in and out: probe, decode, crop, resize, thumbnail, and the rights that a file carries.

Everything is pure and thread-safe: bytes or uint8 [h, w, 3] RGB in, the same out. Codecs and convolutions release the
GIL, so a bounded thread pool off the event loop scales with the cores.
"""

from kindred_kit.imaging.decode import decode
from kindred_kit.imaging.generation import Generation
from kindred_kit.imaging.geometry import Letterbox, RegionN, crop
from kindred_kit.imaging.limits import ImageLimits
from kindred_kit.imaging.probe import ImageInfo, probe
from kindred_kit.imaging.resize import resize_center_crop, resize_letterbox, resize_stretch
from kindred_kit.imaging.rights import EmbeddedRights, license_id_from_url
from kindred_kit.imaging.sniff import looks_like
from kindred_kit.imaging.thumbnail import thumbnail

__all__ = [
    "EmbeddedRights",
    "Generation",
    "ImageInfo",
    "ImageLimits",
    "Letterbox",
    "RegionN",
    "crop",
    "decode",
    "license_id_from_url",
    "looks_like",
    "probe",
    "resize_center_crop",
    "resize_letterbox",
    "resize_stretch",
    "thumbnail",
]
