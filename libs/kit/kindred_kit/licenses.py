"""Licence names (Openverse's and three beside them) and what they permit."""

LICENSES = (
    *("cc0", "pdm", "by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd"),
    *("unsplash", "proprietary", "unknown"),
)
# What openverse.org calls commercial and modification; the Unsplash licence permits both.
LICENSE_TYPES = {
    "commercial": ("cc0", "pdm", "by", "by-sa", "by-nd", "unsplash"),
    "modification": ("cc0", "pdm", "by", "by-sa", "by-nc", "by-nc-sa", "unsplash"),
}
