"""How labels were made, as one word: `lite_image/1`, `lite_image/1+yolox_nano/1 flip x0.75`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_FLIP = "flip"


@dataclass(frozen=True)
class Run:
    """`models` as name/version, in the order of fusion; `flip` and `scales`: further looks at the image."""

    models: tuple[str, ...]
    flip: bool = False
    scales: tuple[float, ...] = ()

    def __str__(self) -> str:
        return " ".join(["+".join(self.models), *[_FLIP] * self.flip, *(f"x{scale:g}" for scale in self.scales)])

    @classmethod
    def parse(cls, text: str) -> Run:
        """What `str` wrote."""
        models, *looks = text.split(" ")
        scales = tuple(float(look[1:]) for look in looks if look != _FLIP)
        return cls(tuple(models.split("+")), _FLIP in looks, scales)

    @property
    def names(self) -> Sequence[str]:
        """Models without their versions."""
        return [model.rpartition("/")[0] for model in self.models]

    @property
    def options(self) -> str:
        """What `kindred labels calibrate` and `kindred relabel` are told for this run."""
        models = f"--ensemble {','.join(self.names)}" if len(self.models) > 1 else f"--model {self.names[0]}"
        scales = f" --scales {','.join(f'{scale:g}' for scale in self.scales)}" if self.scales else ""
        return f"{models}{' --tta' if self.flip else ''}{scales}"
