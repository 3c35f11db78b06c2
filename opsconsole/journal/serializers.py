"""The journal's entries as the API shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from opsconsole.journal.models import Entry


class ActorSerializer(serializers.Serializer[dict[str, Any]]):
    """Who did it."""

    kind = serializers.ChoiceField(choices=["user", "system", "shell", "database"])
    id = serializers.CharField()
    name = serializers.CharField()


class SubjectSerializer(serializers.Serializer[dict[str, Any]]):
    """What it was done to: a table's name, or another kind of thing, and its id."""

    kind = serializers.CharField()
    id = serializers.CharField()


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


class ProofSerializer(serializers.Serializer[dict[str, Any]]):
    """That an entry is in the signed tree: what `tools/verify_journal.py proof` checks offline."""

    entry = serializers.CharField(help_text="The body of the entry, byte for byte as it was hashed.")
    leaf_index = serializers.IntegerField(help_text="Its leaf in the tree, counted from 0.")
    tree_size = serializers.IntegerField(help_text="The leaves of the tree.")
    audit_path = serializers.ListField(child=serializers.CharField(), help_text="RFC 6962 audit path, base64.")
    checkpoint = serializers.CharField(help_text="The signed checkpoint, a C2SP signed note.")
