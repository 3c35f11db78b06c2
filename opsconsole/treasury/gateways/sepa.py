"""The SEPA character set, and how other text is written in it.

Banks need carry only these characters (EPC implementation guidelines, section 1.4): a-z A-Z 0-9 / - ? : ( ) . , ' +
and space. The conversion follows the EPC's own table (EPC217-08) for ASCII signs and accented letters: an accent is
dropped, `&` becomes `+`, what has no counterpart becomes a full stop. It differs from it where the EPC keeps one
character for one and a name would suffer: ß is ss, æ is ae, œ is oe, þ is th, and quotation marks become apostrophes.
Greek is written by ELOT 743, Cyrillic by the Bulgarian and Serbian tables, and the letters of West African Latin
alphabets by the letter they derive from.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

NAME_LIMIT = 70
REMITTANCE_LIMIT = 140
IDENTIFIER_LIMIT = 35
UNKNOWN = "."

_PERMITTED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")
_PLAIN = re.compile(r"[A-Za-z0-9/\-?:().,'+ ]*", re.ASCII)
_IDENTIFIER = re.compile(r"(?![/ ])(?!.*//)[A-Za-z0-9/\-?:().,'+ ]{1,35}(?<![/ ])", re.ASCII)

SIGNS = {
    "&": "+", ";": ",", "[": "(", "]": ")", "{": "(", "}": ")", "\\": "/", "|": "/", "_": "-", "~": "-",
    '"': "'", "`": "'", "´": "'", "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "ʼ": "'", "“": "'", "”": "'",
    "„": "'", "‟": "'", "″": "'", "«": "'", "»": "'", "‹": "'", "›": "'",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-",
    "¿": "?", "€": "E", "×": "x", "⁄": "/", "∕": "/",
}  # fmt: skip

LATIN = {
    "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "đ": "d", "ø": "o", "ł": "l", "ħ": "h", "ı": "i", "ĸ": "k",
    "ŋ": "n", "ŧ": "t", "ə": "e", "ƒ": "f", "ɓ": "b", "ɖ": "d", "ɗ": "d", "ɛ": "e", "ɣ": "g", "ɩ": "i", "ƙ": "k",
    "ɲ": "n", "ɔ": "o", "ʋ": "v", "ƴ": "y", "ȥ": "z",
}  # fmt: skip

GREEK = {
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f",
    "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip

CYRILLIC = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i", "й": "y", "к": "k",
    "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "h",
    "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sht", "ъ": "a", "ь": "y", "ю": "yu", "я": "ya", "ы": "y", "э": "e",
    "і": "i", "ї": "yi", "є": "ye", "ґ": "g", "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz",
    "ѓ": "gj", "ќ": "kj", "ѕ": "dz",
}  # fmt: skip

_LETTERS = LATIN | GREEK | CYRILLIC
# An upper-case letter that stands for two keeps the second small: Ш is Sh. Some have none of their own (ß, ı).
TABLE = (
    SIGNS
    | _LETTERS
    | {letter.upper(): text.capitalize() for letter, text in _LETTERS.items() if letter not in {"ß", "ı", "ĸ"}}
    | {"ẞ": "SS"}
)


@lru_cache(maxsize=16_384)
def transliterate(text: str) -> str:
    """The text in SEPA characters, its spaces run together and its ends trimmed; it may grow, and is never cut."""
    if _PLAIN.fullmatch(text) is None:
        text = "".join(map(_written, unicodedata.normalize("NFC", text)))
    return " ".join(text.split())


def is_identifier(text: str) -> bool:
    """Whether the text may be a reference: 1 to 35 SEPA characters, no slash at either end nor two in a row."""
    return _IDENTIFIER.fullmatch(text) is not None


def has_letters(text: str) -> bool:
    """Whether anything readable is left in a transliterated text."""
    return any(char.isalnum() for char in text)


def _written(char: str) -> str:
    """One character in SEPA characters: as it is, by the table, by its parts, or a full stop."""
    if char in _PERMITTED:
        return char
    if char in TABLE:
        return TABLE[char]
    parts = unicodedata.normalize("NFKD", char)
    if parts != char:
        return "".join(map(_written, parts))
    kind = unicodedata.category(char)
    if kind.startswith("Z") or kind == "Cc":
        return " "
    # A mark on a letter and an invisible sign carry nothing of their own.
    return "" if kind in {"Mn", "Me", "Cf"} else UNKNOWN
