"""The one version of Unicode by which numbers are normalised: 3.2, which every Python carries unchanged.

A version that came with the interpreter would let a character mean one thing here and another there: the same document would get
two tokens, and nobody would notice. A character that is unassigned in 3.2 is refused, since a later version may decompose it.
"""

import unicodedata

__all__ = ["UNICODE", "has_unassigned", "without_separators", "without_spaces"]

UNICODE = unicodedata.ucd_3_2_0

# What is left of spaces and dashes after NFKC (categories Zs and Pd, listed, since categories change between versions of Unicode);
# then dot, slash, parentheses, minus sign, and the middle dots U+00B7, U+2022, U+2027 and U+30FB.
_SPACES = " \u1680"
_DASHES = "-\u058a\u05be\u1806\u2010\u2012\u2013\u2014\u2015\u301c\u3030\u30a0"
_SEPARATORS = frozenset(_SPACES + _DASHES + "./()\u2212\u00b7\u2022\u2027\u30fb")
_ASCII_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ONE_DASH = str.maketrans(dict.fromkeys(_SPACES, "") | dict.fromkeys(_DASHES + "\u2212", "-"))


def without_separators(text: str) -> str:
    """The characters of a number in normal form KC, without separators, ASCII letters in upper case."""
    return "".join(each for each in UNICODE.normalize("NFKC", text) if each not in _SEPARATORS).translate(_ASCII_UPPER)


def without_spaces(text: str) -> str:
    """The characters of a number in normal form KC, without spaces, every dash the same, ASCII letters in upper case."""
    spelled = UNICODE.normalize("NFKC", text).translate(_ONE_DASH).translate(_ASCII_UPPER)
    # What a space stood between may now be one character.
    return UNICODE.normalize("NFKC", spelled)


def has_unassigned(text: str) -> bool:
    """Whether a character of the text has no meaning in this version of Unicode."""
    return not text.isascii() and any(UNICODE.category(character) == "Cn" for character in text)
