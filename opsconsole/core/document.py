"""The OpenAPI document, made once: making it looks at every door, and anybody may ask for it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.utils.translation import get_language
from drf_spectacular.generators import SchemaGenerator


class Document(SchemaGenerator):
    """Makes the document where nobody has asked for it in this language yet."""

    def get_schema(self, request: Any = None, public: bool = False) -> Any:  # noqa: FBT001, FBT002 - as it is called
        """The document; nobody changes it."""
        if not public:
            return super().get_schema(request, public)  # type: ignore[no-untyped-call]
        return _made(self.api_version, get_language())


@lru_cache(maxsize=8)  # versions and languages are the caller's to name
def _made(version: str | None, _language: str | None) -> Any:
    return SchemaGenerator(api_version=version).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
