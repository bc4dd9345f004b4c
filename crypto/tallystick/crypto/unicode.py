"""The one version of Unicode by which numbers are normalised: 3.2, which every Python carries unchanged.

A version that came with the interpreter would let a character mean one thing here and another there: the same document would get
two tokens, and nobody would notice. A character that is unassigned in 3.2 is refused, since a later version may decompose it.
"""

import unicodedata

__all__ = ["UNICODE", "has_unassigned"]

UNICODE = unicodedata.ucd_3_2_0


def has_unassigned(text: str) -> bool:
    """Whether a character of the text has no meaning in this version of Unicode."""
    return not text.isascii() and any(UNICODE.category(character) == "Cn" for character in text)
