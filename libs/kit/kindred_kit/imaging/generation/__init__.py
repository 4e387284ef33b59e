"""How an image was generated, as the programs that make such images note it in the file. Pure; input is hostile."""

from kindred_kit.imaging.generation.reading import read_generation
from kindred_kit.imaging.generation.record import Generation

__all__ = ["Generation", "read_generation"]
