"""Builds the models of the lite profile; see docs/lite-models.md."""
