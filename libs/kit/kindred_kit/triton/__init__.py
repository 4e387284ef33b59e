"""What Triton Inference Server is told of our models: model folders -> a model repository that it serves."""

from kindred_kit.triton.config import SPACE_PARAMETER, Target, config_pbtxt
from kindred_kit.triton.repository import WrittenModel, write_model

__all__ = ["SPACE_PARAMETER", "Target", "WrittenModel", "config_pbtxt", "write_model"]
