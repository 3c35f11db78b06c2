"""Texts that are said in the language of whoever reads them, and in English where they are kept or answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from django.conf import settings
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    Text: TypeAlias = str | StrPromise
else:
    Text: TypeAlias = str | Promise


def english(text: str | Promise) -> str:
    """The text as it is stored, journalled, logged and answered by the API, whoever reads it."""
    if isinstance(text, str):
        return text
    with override(settings.LANGUAGE_CODE):
        return str(text)


def one_after_another(texts: Sequence[Text]) -> Text:
    """The texts as one, with semicolons between them."""
    return reduce(lambda before, after: format_lazy(_("{before}; {after}"), before=before, after=after), texts)
