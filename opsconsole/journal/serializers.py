"""The journal's entries as the API shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from opsconsole.journal.models import Entry

ENTRY_EXAMPLE = {
    "id": "01998a3c-5f10-7c41-9a55-3f0b6f6f2d11",
    "seq": 4711,
    "at": "2025-08-01T09:30:00.123456Z",
    "actor": {"kind": "user", "id": "01998a00-11aa-7d00-8c33-aa01bb02cc03", "name": "finance_ops"},
    "verb": "plan.staged",
    "subject": {"kind": "ops_plans", "id": "01998a3b-0000-7abc-8def-0123456789ab"},
    "before": {"status": "draft"},
    "after": {"status": "staged"},
    "reason": "",
    "request_id": "7f1c3f1e-0c7e-4a0e-b7f4-5a2d0d1f9e60",
}
PROOF_EXAMPLE = {
    "entry": '{"v": 1, "at": "2025-08-01T09:30:00.123456Z", "id": "01998a3c-5f10-7c41-9a55-3f0b6f6f2d11", "seq": 4711}',
    "leaf_index": 1,
    "tree_size": 2,
    "audit_path": ["bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="],
    "checkpoint": "opsconsole/journal\n2\n+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=\n"
    "at 2025-08-01T09:30:01.000000Z\n\n— opsconsole/journal PvnutQ86JvJygBb+vuBCb99jzol1dpz0uWCYOS+a5a8ApEc21...\n",
}


class ActorSerializer(serializers.Serializer[dict[str, Any]]):
    """Who did it."""

    kind = serializers.ChoiceField(choices=["user", "system", "shell", "database"])
    id = serializers.CharField()
    name = serializers.CharField()


class SubjectSerializer(serializers.Serializer[dict[str, Any]]):
    """What it was done to: a table's name, or another kind of thing, and its id."""

    kind = serializers.CharField()
    id = serializers.CharField()


@extend_schema_serializer(examples=[OpenApiExample("A plan was staged", value=ENTRY_EXAMPLE)])
class EntrySerializer(serializers.ModelSerializer[Entry]):
    """One entry, read from its hashed body."""

    actor = ActorSerializer(source="content.actor")
    subject = SubjectSerializer(source="content.subject")
    before = serializers.DictField(source="content.before", allow_null=True)
    after = serializers.DictField(source="content.after", allow_null=True)
    reason = serializers.CharField(source="content.reason")
    request_id = serializers.CharField(source="content.request_id")

    class Meta:
        model = Entry
        fields = ("id", "seq", "at", "actor", "verb", "subject", "before", "after", "reason", "request_id")
        read_only_fields = fields


class ExportSerializer(serializers.Serializer[dict[str, Any]]):
    """Which entries, in which form; without anything else, all of them."""

    format = serializers.ChoiceField(choices=["jsonl", "csv", "xlsx"], default="jsonl", help_text="Of the file.")
    since = serializers.DateTimeField(required=False, default=None, allow_null=True, help_text="At this time or later.")
    until = serializers.DateTimeField(required=False, default=None, allow_null=True, help_text="Before this time.")
    actor = serializers.CharField(required=False, default="", max_length=200, help_text="An id, or the name of a user.")
    verb = serializers.CharField(required=False, default="", max_length=100, help_text="Exactly.")
    subject_kind = serializers.CharField(required=False, default="", max_length=100, help_text="A table's name.")
    subject_id = serializers.CharField(required=False, default="", max_length=200, help_text="In full.")


@extend_schema_serializer(examples=[OpenApiExample("Leaf 1 of 2", value=PROOF_EXAMPLE)])
class ProofSerializer(serializers.Serializer[dict[str, Any]]):
    """That an entry is in the signed tree: what `tools/verify_journal.py proof` checks offline."""

    entry = serializers.CharField(help_text="The body of the entry, byte for byte as it was hashed.")
    leaf_index = serializers.IntegerField(help_text="Its leaf in the tree, counted from 0.")
    tree_size = serializers.IntegerField(help_text="The leaves of the tree.")
    audit_path = serializers.ListField(child=serializers.CharField(), help_text="RFC 6962 audit path, base64.")
    checkpoint = serializers.CharField(help_text="The signed checkpoint, a C2SP signed note.")
