"""The words that banks are known by, as a change reads them."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from stdnum import bic as bic_numbers
from stdnum import iban as iban_numbers
from stdnum.exceptions import ValidationError

from opsconsole.changes.kinds.fields import PlainText


class BicField(PlainText):
    """A BIC of eight or eleven characters."""

    def to_internal_value(self, data: Any) -> str:
        """The BIC in capitals; raises ValidationError."""
        try:
            return str(bic_numbers.validate(super().to_internal_value(data)))
        except ValidationError as error:
            raise serializers.ValidationError(_("is not a BIC: eight or eleven letters and digits")) from error


class IbanField(PlainText):
    """An IBAN whose check digits are right."""

    def to_internal_value(self, data: Any) -> str:
        """The IBAN without blanks; raises ValidationError."""
        text = super().to_internal_value(data)
        try:
            number = str(iban_numbers.validate(text, check_country=False))
        except ValidationError as error:
            raise serializers.ValidationError(_("is not an IBAN, or fails its check digits")) from error
        if not number.isascii():
            raise serializers.ValidationError(_("is not an IBAN"))
        return number
