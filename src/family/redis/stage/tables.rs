//! The tables that rows go to in bulk. Of rows of two files the first one counts, and the second is noted; collections
//! go there once.

use crate::staging::Table;

const STRING_COLUMNS: &[&str] = &["key", "key_is_text", "envelope", "expire_at_ms", "value"];
pub(super) const STRINGS: Table = Table { name: "redis_string", columns: STRING_COLUMNS, key: 1 };
pub(super) const HLLS: Table = Table { name: "redis_hll", columns: STRING_COLUMNS, key: 1 };
pub(super) const BARE_STRINGS: Table = Table { name: "redis_bare_string", columns: STRING_COLUMNS, key: 1 };
pub(super) const TTLS: Table =
    Table { name: "redis_ttl", columns: &["key", "key_is_text", "expire_at_ms"], key: 1 };
pub(super) const FIELDS: Table =
    Table { name: "redis_hash_field", columns: &["collection", "name", "value"], key: 2 };
pub(super) const SET_MEMBERS: Table =
    Table { name: "redis_set_member", columns: &["collection", "member"], key: 2 };
pub(super) const ZSET_MEMBERS: Table =
    Table { name: "redis_zset_member", columns: &["collection", "member", "score"], key: 2 };
pub(super) const ITEMS: Table =
    Table { name: "redis_list_item", columns: &["collection", "seq", "item"], key: 2 };
pub(super) const ENTRIES: Table =
    Table { name: "redis_stream_entry", columns: &["collection", "ms", "seq", "fields"], key: 3 };
pub(super) const COLLECTIONS: Table = Table {
    name: "redis_collection",
    columns: &["id", "key", "key_is_text", "type", "elements", "nan_scores"],
    key: 1,
};
