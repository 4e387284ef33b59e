"""Ten thousand texts that a tokenizer may stumble over, the same on every machine."""

import random

COUNT = 10_000
CHUNK = 500

_ENGLISH = (
    "a the of in on photo picture dog cats running snow beach street bus red blue green two three small old woman "
    "man child horse kitchen skateboard umbrella unbelievably antidisestablishmentarianism "
    "pneumonoultramicroscopic café naïve façade Zürich Ångström smörgåsbord señor coöperate résumé IMG_2034.JPG "
    "f/2.8 4k 1080p 3D x-ray e.g. don't it's they'll we've I'm you'd he's O'Neill rock'n'roll"
)
_RUSSIAN = "собака бежит по снегу красный автобус на улице ЁЖИК Привет мир щи да каша їжак"
_OTHERS = [
    "犬が雪の上を走る", "红色的公交车", "강아지", "कुत्ता बर्फ में", "كلب على الثلج", "כלב בשלג", "สุนัข", "σκύλος ΣΊΣΥΦΟΣ",
    "İstanbul", "ﬁsh ﬂag", "ＡＢＣ１２３", "e\u0301te\u0301", "a\u0308\u0323", "ß ẞ", "Ⅷ ½ ² ①", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "\u200bzero\u200dwidth",
]  # fmt: skip
_EMOJI = ["😀", "🐶❄️", "👩‍👩‍👧‍👦", "🇺🇦", "👍🏽", "🏳️‍🌈", "☕", "♥", "🧑🏿‍🚀", "#️⃣"]
_ENTITIES = [
    "&amp;",
    "&lt;b&gt;",
    "&amp;quot;",
    "&#39;",
    "&eacute;",
    "&nbsp;",
    "&amp;amp;lt;",
    "&hearts;",
    "&notanentity;",
    "&",
]
_BROKEN = ["schÃ¶n", "donâ€™t", "cafÃ©", "âœ” ok", "â€œquotedâ€\x9d", "Ð¼Ð¸Ñ\x80"]
_SIGNS = [
    "!!!",
    "...",
    "(c)",
    "--",
    "—",
    "“so”",
    "‘it’s’",
    "$9.99",
    "100%",
    "@user",
    "#tag",
    "a/b\\c",
    "_x_",
    "<|end|>",
]
_SPACES = [" ", "  ", "\t", "\n", "\u00a0", "\u3000", "\r\n"]
_WORDS, _CYRILLIC = (text.split() for text in (_ENGLISH, _RUSSIAN))
_KINDS = (_WORDS, _CYRILLIC, _OTHERS, _EMOJI, _ENTITIES, _BROKEN, _SIGNS)
_WEIGHTS = (60, 12, 8, 6, 6, 3, 5)


def seeded_texts(count: int = COUNT, seed: int = 11) -> list[str]:
    """Every one with something in it; one in fifty has 300 words."""
    source = random.Random(seed)
    return [_text(source, 300 if number % 50 == 49 else source.randint(1, 25)) for number in range(count)]


def _text(source: random.Random, words: int) -> str:
    parts = [source.choice(source.choices(_KINDS, _WEIGHTS)[0]) for _ in range(words)]
    parts = [part.upper() if source.random() < 0.05 else part for part in parts]
    joined = source.choice(_WORDS)
    for part in parts:
        joined += ("" if source.random() < 0.08 else source.choices(_SPACES, (90, 3, 2, 2, 1, 1, 1))[0]) + part
    return joined
