"""The raw tables, with their columns as in the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import ibis

from pipeline.contract import TIMESTAMP, Column, schema_of
from pipeline.rules.items import ITEM_DATA, Item, is_sensitive


@dataclass(frozen=True)
class Source:
    """A raw table: its columns with the types that they should have.

    A file may give a column another type; the models read it anyway (contract, section 2).
    `items` are the kinds of items in its JSON column ItemData, if it has one. NDJSON has no header:
    if no line of a file has the keys `known_by`, it is no file of this source.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    items: tuple[Item, ...] = ()
    known_by: tuple[str, ...] = ()

    @cached_property
    def schema(self) -> ibis.Schema:
        """The declared names and types, in order."""
        return schema_of(self.columns)

    def is_sensitive(self, column: str, path: Sequence[str] = ()) -> bool:
        """Tell whether a column is sensitive, or the value at a path in its JSON."""
        declared = {each.name: each.sensitive for each in self.columns}
        return declared[column] and (not path or is_sensitive(path))


EVENTS = "raw_sync_events"

_EVENTS = Source(
    EVENTS,
    "Every change of a device's Sync map, one row per webhook that Twilio sent.",
    (
        Column("MapSid", "string", "Twilio's id of the map", optional=True),
        Column("AccountSid", "string", "Twilio's id of the account", optional=True),
        Column("ServiceSid", "string", "Twilio's id of the Sync service", optional=True),
        Column("ListSid", "string", "Twilio's id of the list, where it is one", optional=True),
        Column("ListUniqueName", "string", "name of the list, where it is one", optional=True),
        Column("EndpointId", "string", "Twilio's id of the client that made the change"),
        Column("Identity", "string", "identity that this client gave", optional=True),
        Column("ProtocolVersion", "string", "version of the Sync protocol", optional=True),
        Column("IsIdentityOnline", "boolean", "whether that client was connected", optional=True),
        Column("EventId", "int64", "order of the change within its map", optional=True),
        Column("EventType", "string", "kind of change, nearly always map_item_updated"),
        Column("DateCreated", TIMESTAMP, "when Twilio recorded the change (UTC)"),
        Column("MapRevision", "string", "revision of the whole map, a growing integer in hex"),
        Column("ItemKey", "string", "which facet of the device changed, such as DoorLocked"),
        Column("ItemRevision", "string", "revision of the item, a growing integer in hex"),
        Column("ItemData", "string", "the item's new content as JSON text", sensitive=True),
        Column("MapUniqueName", "string", "the device's id"),
        Column("_source_file", "string", "the stored object that the event was loaded from"),
        Column("_scheduled_timestamp", TIMESTAMP, "when the batch was loaded (UTC)", optional=True),
    ),
    ITEM_DATA,
    known_by=("ItemKey", "ItemData"),
)

_USERS = Source(
    "raw_users",
    "Versions of the people who send commands; the latest of a uid counts.",
    (
        Column("uid", "string", "the user's id, an integer in any type"),
        Column("username", "string", "the name shown for the user"),
        Column("dateRegistered", "string", "when the user registered: time, text or epoch"),
        Column("last_modified", "string", "when this version was written: time, text or epoch"),
    ),
    known_by=("uid",),
)

SOURCES: Mapping[str, Source] = MappingProxyType(
    {source.name: source for source in (_EVENTS, _USERS)}
)
"""The sources by their names."""
