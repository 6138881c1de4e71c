//! Redis records into their tables. Rows come in raw key order, so the elements of a collection come in a run: the
//! collection is looked up once for it, and its elements follow under its number. Leaves everything that needs
//! more than one row (TTLs, types, lengths) to the SQL of `reconcile` and `export`.

use std::io::{self, BufReader, Read};

use rusqlite::{Connection, OptionalExtension};

use super::blob::{self, BlobError, Element};
use super::entry::{self, EntryError};
use super::rows::{Malformed, MetaDetail, Record, StringRow, Type, decode};
use super::wire::{Span, Wire, WireError};
use crate::family::{Context, RowError, Stage};
use crate::snapshot::limits::INLINE_PAYLOAD_BYTES;
use crate::snapshot::{Payload, Readable, Row, Skipped};
use crate::staging::{
    BulkInsert, Cell, Conflict, Duplicates, Extent, Kind, LargeReader, LargeValues, Staging, StagingError,
    Table, U64, is_text,
};

const STRING_COLUMNS: &[&str] = &["key", "key_is_text", "envelope", "expire_at_ms", "value", "source"];
const STRINGS: Table = Table { name: "redis_string", columns: STRING_COLUMNS, key: 1 };
const HLLS: Table = Table { name: "redis_hll", columns: STRING_COLUMNS, key: 1 };
const BARE_STRINGS: Table = Table { name: "redis_bare_string", columns: STRING_COLUMNS, key: 1 };
const TTLS: Table =
    Table { name: "redis_ttl", columns: &["key", "key_is_text", "expire_at_ms", "source"], key: 1 };
const FIELDS: Table =
    Table { name: "redis_hash_field", columns: &["collection", "name", "value", "source"], key: 2 };
const SET_MEMBERS: Table =
    Table { name: "redis_set_member", columns: &["collection", "member", "source"], key: 2 };
const ZSET_MEMBERS: Table =
    Table { name: "redis_zset_member", columns: &["collection", "member", "score", "source"], key: 2 };
const ITEMS: Table =
    Table { name: "redis_list_item", columns: &["collection", "seq", "item", "source"], key: 2 };
const ENTRIES: Table =
    Table { name: "redis_stream_entry", columns: &["collection", "ms", "seq", "fields", "source"], key: 3 };

/// Takes Redis rows in.
pub struct RedisStage<'c> {
    connection: &'c Connection,
    duplicates: Duplicates,
    strings: BulkInsert<'c>,
    hlls: BulkInsert<'c>,
    bare_strings: BulkInsert<'c>,
    ttls: BulkInsert<'c>,
    fields: BulkInsert<'c>,
    set_members: BulkInsert<'c>,
    zset_members: BulkInsert<'c>,
    items: BulkInsert<'c>,
    entries: BulkInsert<'c>,
    run: Option<Run>,
    /// The next number for a collection or for the elements of a blob.
    next_id: i64,
    json: Vec<u8>,
}

/// Elements of one collection that come one after the other.
struct Run {
    of: Type,
    key: Vec<u8>,
    id: i64,
    elements: i64,
    nan_scores: i64,
}

impl<'c> RedisStage<'c> {
    pub(super) fn new(staging: &'c Staging, source: i64) -> Result<Self, StagingError> {
        let connection = staging.connection();
        let next_id = connection.query_row(
            "SELECT 1 + max(coalesce(max(id), 0), coalesce(max(blob_id), 0)) FROM redis_collection",
            [],
            |row| row.get(0),
        )?;
        // Row keys are unique within a file.
        let conflict = if source == 0 { Conflict::Refuse } else { Conflict::Note };
        let table = |table| BulkInsert::new(connection, table, conflict);
        Ok(Self {
            connection,
            duplicates: staging.duplicates().clone(),
            strings: table(&STRINGS)?,
            hlls: table(&HLLS)?,
            bare_strings: table(&BARE_STRINGS)?,
            ttls: table(&TTLS)?,
            fields: table(&FIELDS)?,
            set_members: table(&SET_MEMBERS)?,
            zset_members: table(&ZSET_MEMBERS)?,
            items: table(&ITEMS)?,
            entries: table(&ENTRIES)?,
            run: None,
            next_id,
            json: Vec::new(),
        })
    }

    /// The number of the collection whose element comes next.
    #[inline]
    fn element_of(&mut self, of: Type, key: &[u8], source: i64) -> rusqlite::Result<i64> {
        match &mut self.run {
            Some(run) if run.of == of && run.key == key => {
                run.elements += 1;
                Ok(run.id)
            }
            _ => {
                self.end_run()?;
                let id = self.collection(of, key, source)?;
                self.run = Some(Run { of, key: key.to_vec(), id, elements: 1, nan_scores: 0 });
                Ok(id)
            }
        }
    }

    fn end_run(&mut self) -> rusqlite::Result<()> {
        if let Some(Run { id, elements, nan_scores, .. }) = self.run.take() {
            self.connection
                .prepare_cached(
                    "UPDATE redis_collection SET elements = elements + ?, nan_scores = nan_scores + ? WHERE id = ?",
                )?
                .execute((elements, nan_scores, id))?;
        }
        Ok(())
    }

    /// The number of a collection, which is made if it is not there.
    fn collection(&mut self, of: Type, key: &[u8], source: i64) -> rusqlite::Result<i64> {
        let known = self
            .connection
            .prepare_cached("SELECT id FROM redis_collection WHERE key = ? AND type = ?")?
            .query_row((key, of.name()), |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.number();
        self.connection
            .prepare_cached(
                "INSERT INTO redis_collection (id, key, key_is_text, type, source) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute((id, key, is_text(key), of.name(), source))?;
        Ok(id)
    }

    fn number(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn meta(
        &mut self,
        of: Type,
        key: &[u8],
        length: i64,
        expire_at_ms: Option<i64>,
        detail: MetaDetail,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let id = self.collection(of, key, context.source)?;
        let (head, tail) = match detail {
            MetaDetail::List { head, tail } => (Some(head), Some(tail)),
            _ => (None, None),
        };
        let (last, trimmed) = match detail {
            MetaDetail::Stream { last, trimmed } => (Some(last), Some(trimmed)),
            _ => (None, None),
        };
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE redis_collection SET meta_length = ?, meta_expire_at_ms = ?, list_head = ?, list_tail = ?, \
                 stream_last_ms = ?, stream_last_seq = ?, stream_trimmed_ms = ?, stream_trimmed_seq = ? \
                 WHERE id = ? AND meta_length IS NULL",
            )?
            .execute((
                length,
                expire_at_ms,
                head,
                tail,
                last.map(|id| U64(id.0)),
                last.map(|id| U64(id.1)),
                trimmed.map(|id| U64(id.0)),
                trimmed.map(|id| U64(id.1)),
                id,
            ))?;
        if changed == 0 {
            note_duplicate(context, of.name(), "meta", key);
        }
        Ok(())
    }

    fn delta(&mut self, record: Record<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError> {
        let Record::Delta { of, key, commit_ts, seq, length, head } = record else { return Ok(()) };
        let id = self.collection(of, key, context.source)?;
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO redis_delta (collection, commit_ts, seq, length_delta, head_delta, source) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute((id, U64(commit_ts), seq, length, head, context.source))?;
        if added == 0 {
            note_duplicate(context, of.name(), "delta", key);
        }
        self.connection
            .prepare_cached("UPDATE redis_collection SET has_delta = 1 WHERE id = ? AND has_delta = 0")?
            .execute([id])?;
        Ok(())
    }

    /// One stream entry, inline as JSON.
    fn entry(
        &mut self,
        key: &[u8],
        (ms, seq): (u64, u64),
        payload: Payload<'_>,
        context: &Context<'_, '_>,
    ) -> Result<(), RowError> {
        if !payload.head().starts_with(entry::MAGIC) {
            return Err(malformed(Malformed::Magic("stream entry")));
        }
        let message = payload.skip(entry::MAGIC.len());
        self.json.clear();
        let mut large = None;
        match inline(message) {
            Some(bytes) => entry::push_fields(bytes, &mut self.json).map_err(entry_error)?,
            None => {
                let extent = extent(message, context.source);
                let mut wire = Wire::new(open(context.large_values, extent)?, 0, extent.length);
                entry::walk(&mut wire, |_| Ok(())).map_err(entry_error)?;
                large = Some(context.large_values.save(extent)?);
            }
        }
        let id = self.element_of(Type::Stream, key, context.source)?;
        let (mut ms_digits, mut seq_digits) = Default::default();
        self.entries.push([
            Cell::integer(id),
            unsigned(ms, &mut ms_digits),
            unsigned(seq, &mut seq_digits),
            large.map_or(Cell::text_or_blob(&self.json), Cell::integer),
            Cell::integer(context.source),
        ])?;
        Ok(())
    }

    /// A whole collection in one value. It is walked twice: once to see that it is well-formed, since half of a
    /// malformed one must not be staged.
    fn blob(
        &mut self,
        of: Type,
        key: &[u8],
        payload: Payload<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let value = Value::new(payload.skip(0), context)?;
        let mut problem = None;
        value.walk_blob(of, |element| {
            if let Element::Entry { id, .. } = element
                && blob::parse_id(&value.bytes(id)?).is_none()
            {
                problem = Some(Malformed::EntryId);
            }
            Ok(())
        })?;
        if let Some(problem) = problem {
            return Err(malformed(problem));
        }
        let collection = self.collection(of, key, context.source)?;
        let taken: Option<i64> = self
            .connection
            .prepare_cached("SELECT blob_id FROM redis_collection WHERE id = ?")?
            .query_row([collection], |row| row.get(0))?;
        if taken.is_some() {
            note_duplicate(context, of.name(), "one-blob", key);
            return Ok(());
        }
        let id = self.number();
        value.walk_blob(of, |element| self.blob_element(id, element, &value, context))?;
        let table = match of {
            Type::Hash => "redis_hash_field",
            Type::Set => "redis_set_member",
            Type::Zset => "redis_zset_member",
            Type::List | Type::Stream => "redis_stream_entry",
        };
        let nan = if of == Type::Zset { "count(*) FILTER (WHERE score IS NULL)" } else { "0" };
        self.connection
            .prepare_cached(&format!(
                "UPDATE redis_collection SET blob_id = ?1, (blob_elements, blob_nan_scores) = \
                 (SELECT count(*), {nan} FROM {table} WHERE collection = ?1) WHERE id = ?2"
            ))?
            .execute((id, collection))?;
        Ok(())
    }

    /// Of a name, member or id given twice the last counts.
    fn blob_element(
        &mut self,
        id: i64,
        element: Element,
        value: &Value<'_, '_, '_>,
        context: &Context<'_, '_>,
    ) -> Result<(), RowError> {
        let (connection, source) = (self.connection, context.source);
        match element {
            Element::Field { name, value: content } => {
                let content = value.content(content)?;
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO redis_hash_field (collection, name, value, source) VALUES (?, ?, ?, ?)",
                    )?
                    .execute((id, value.bytes(name)?, content.cell(), source))?
            }
            Element::Member(member) => connection
                .prepare_cached("INSERT OR REPLACE INTO redis_set_member (collection, member, source) VALUES (?, ?, ?)")?
                .execute((id, value.bytes(member)?, source))?,
            Element::Scored { member, score } => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO redis_zset_member (collection, member, score, source) VALUES (?, ?, ?, ?)",
                )?
                .execute((id, value.bytes(member)?, Cell::real(score), source))?,
            Element::Entry { id: text, message } => {
                let (ms, seq) = blob::parse_id(&value.bytes(text)?).ok_or(malformed(Malformed::EntryId))?;
                let fields = match value.content(message)? {
                    Content::Large(large) => Content::Large(large),
                    Content::Bytes(message) => {
                        self.json.clear();
                        entry::push_fields(&message, &mut self.json).map_err(entry_error)?;
                        Content::Bytes(std::mem::take(&mut self.json))
                    }
                };
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO redis_stream_entry (collection, ms, seq, fields, source) \
                         VALUES (?, ?, ?, ?, ?)",
                    )?
                    .execute((id, U64(ms), U64(seq), fields.cell(), source))?
            }
        };
        Ok(())
    }
}

impl Stage for RedisStage<'_> {
    #[inline]
    fn row(&mut self, row: &Row<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError> {
        let source = Cell::integer(context.source);
        match decode(row.user_key, row.payload).map_err(malformed)? {
            Record::Ignored => {}
            Record::String(string) => push_string(&mut self.strings, string, context)?,
            Record::BareString(string) => push_string(&mut self.bare_strings, string, context)?,
            Record::Hll(string) => {
                Value::new(string.value, context)?.walk_blob(Type::Set, |_| Ok(()))?;
                push_string(&mut self.hlls, string, context)?;
            }
            Record::Ttl { key, expire_at_ms } => {
                let text = Cell::flag(is_text(key));
                self.ttls.push([Cell::blob(key), text, Cell::integer(expire_at_ms), source])?;
            }
            Record::Meta { of, key, length, expire_at_ms, detail } => {
                self.meta(of, key, length, expire_at_ms, detail, context)?;
            }
            record @ Record::Delta { .. } => self.delta(record, context)?,
            Record::Field { key, name, value } => {
                let value = content_cell(value.skip(0), context)?;
                let id = self.element_of(Type::Hash, key, context.source)?;
                self.fields.push([Cell::integer(id), Cell::blob(name), value, source])?;
            }
            Record::SetMember { key, member } => {
                let id = self.element_of(Type::Set, key, context.source)?;
                self.set_members.push([Cell::integer(id), Cell::blob(member), source])?;
            }
            Record::ZsetMember { key, member, score } => {
                let id = self.element_of(Type::Zset, key, context.source)?;
                if score.is_nan()
                    && let Some(run) = &mut self.run
                {
                    run.nan_scores += 1;
                }
                self.zset_members.push([Cell::integer(id), Cell::blob(member), Cell::real(score), source])?;
            }
            Record::Item { key, seq, item } => {
                let item = content_cell(item.skip(0), context)?;
                let id = self.element_of(Type::List, key, context.source)?;
                self.items.push([Cell::integer(id), Cell::integer(seq), item, source])?;
            }
            Record::Entry { key, ms, seq, entry } => self.entry(key, (ms, seq), entry, context)?,
            Record::Blob { of, key, blob } => self.blob(of, key, blob, context)?,
        }
        Ok(())
    }

    fn flush(&mut self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        for table in [
            &mut self.strings,
            &mut self.hlls,
            &mut self.bare_strings,
            &mut self.ttls,
            &mut self.fields,
            &mut self.set_members,
            &mut self.zset_members,
            &mut self.items,
            &mut self.entries,
        ] {
            table.flush()?;
        }
        self.end_run()?;
        for duplicate in self.duplicates.drain() {
            let what = duplicate.table.strip_prefix("redis_").unwrap_or(&duplicate.table).replace('_', " ");
            let Some(id) = duplicate.collection else {
                context.warnings.add(Kind::RowInTwoFiles, format!("{what} {}", duplicate.part));
                continue;
            };
            let key: Vec<u8> = self
                .connection
                .prepare_cached(
                    "UPDATE redis_collection SET elements = elements - 1 WHERE id = ? RETURNING key",
                )?
                .query_row([id], |row| row.get(0))?;
            let sample = format!("{what} {} of {}", duplicate.part, Readable(&key));
            context.warnings.add(Kind::RowInTwoFiles, sample);
        }
        Ok(())
    }
}

fn push_string(
    table: &mut BulkInsert<'_>,
    string: StringRow<'_>,
    context: &Context<'_, '_>,
) -> Result<(), StagingError> {
    table.push([
        Cell::blob(string.key),
        Cell::flag(is_text(string.key)),
        Cell::flag(string.envelope),
        Cell::optional(string.expire_at_ms),
        content_cell(string.value, context)?,
        Cell::integer(context.source),
    ])?;
    Ok(())
}

/// A value as its column holds it: the bytes, or the number of a large value.
fn content_cell<'a>(value: Skipped<'a>, context: &Context<'_, '_>) -> Result<Cell<'a>, StagingError> {
    match inline(value) {
        Some(bytes) => Ok(Cell::text_or_blob(bytes)),
        None => Ok(Cell::integer(context.large_values.save(extent(value, context.source))?)),
    }
}

fn inline(value: Skipped<'_>) -> Option<&[u8]> {
    match value.payload {
        Payload::Inline(bytes) => Some(bytes.get(value.skipped..).unwrap_or_default()),
        Payload::Large { .. } => None,
    }
}

fn extent(value: Skipped<'_>, source: i64) -> Extent {
    match value.payload {
        Payload::Inline(_) => Extent { source, payload: None, start: 0, length: 0 },
        Payload::Large { place, length, .. } => {
            Extent::of(source, place, length).slice(value.skipped as u64, length)
        }
    }
}

fn open<'c>(
    large_values: &LargeValues<'c>,
    extent: Extent,
) -> Result<BufReader<LargeReader<'c>>, StagingError> {
    Ok(BufReader::with_capacity(64 << 10, large_values.open(extent)?))
}

/// A u64 as [`U64`] binds it, borrowed from the caller's digits where it is text.
fn unsigned(number: u64, digits: &mut String) -> Cell<'_> {
    match i64::try_from(number) {
        Ok(number) => Cell::integer(number),
        Err(_) => {
            *digits = format!("{number:020}");
            Cell::text_or_blob(digits.as_bytes())
        }
    }
}

/// A value whose parts are read at spans: from memory, or from where a large value lies.
struct Value<'a, 'v, 'c> {
    bytes: Option<&'a [u8]>,
    extent: Extent,
    large_values: &'v LargeValues<'c>,
}

enum Content {
    Bytes(Vec<u8>),
    Large(i64),
}

impl Content {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Bytes(bytes) => Cell::text_or_blob(bytes),
            Self::Large(id) => Cell::integer(*id),
        }
    }
}

impl<'a, 'v, 'c> Value<'a, 'v, 'c> {
    fn new(value: Skipped<'a>, context: &Context<'v, 'c>) -> Result<Self, StagingError> {
        let extent = extent(value, context.source);
        Ok(Self { bytes: inline(value), extent, large_values: context.large_values })
    }

    fn walk_blob(
        &self,
        of: Type,
        visit: impl FnMut(Element) -> Result<(), RowError>,
    ) -> Result<(), RowError> {
        let result = match self.bytes {
            Some(bytes) => blob::walk(of, bytes, bytes.len() as u64, visit),
            None => blob::walk(of, open(self.large_values, self.extent)?, self.extent.length, visit),
        };
        result.map_err(|error| match error {
            BlobError::Malformed(rule) => malformed(rule),
            BlobError::Io(error) => RowError::Staging(unreadable(error)),
            BlobError::Visitor(error) => error,
        })
    }

    fn bytes(&self, span: Span) -> Result<Vec<u8>, RowError> {
        if let Some(bytes) = self.bytes {
            return Ok(entry::slice(bytes, span).to_vec());
        }
        let mut bytes = Vec::new();
        let mut reader = self.large_values.open(self.extent.slice(span.start, span.length))?;
        reader.read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    fn content(&self, span: Span) -> Result<Content, RowError> {
        if self.bytes.is_none() && span.length > INLINE_PAYLOAD_BYTES as u64 {
            let extent = self.extent.slice(span.start, span.length);
            return Ok(Content::Large(self.large_values.save(extent)?));
        }
        Ok(Content::Bytes(self.bytes(span)?))
    }
}

fn malformed(rule: Malformed) -> RowError {
    RowError::Malformed(Box::new(rule))
}

fn entry_error(error: EntryError) -> RowError {
    match error {
        EntryError::Malformed(rule) => malformed(rule),
        EntryError::Wire(WireError::Malformed) => malformed(Malformed::Protobuf("stream entry")),
        EntryError::Wire(WireError::Io(error)) => RowError::Staging(unreadable(error)),
    }
}

fn unreadable(error: io::Error) -> StagingError {
    StagingError::LargeValue(error)
}

fn note_duplicate(context: &mut Context<'_, '_>, of: &str, row: &str, key: &[u8]) {
    context.warnings.add(Kind::RowInTwoFiles, format!("{of} {row} row of {}", Readable(key)));
}
