"""The catalogue: the truth about images, of which the index is a projection."""
