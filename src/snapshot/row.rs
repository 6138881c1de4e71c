//! One row of a body in raw key order, whatever body it stands in: what it is, whether it counts, and what of it goes
//! into the batch (`docs/format/snapshot.md` section 2). Leaves the finding of rows to the bodies, and the
//! choice between versions to `versions`.

use super::batch::{Batch, Large, Place, Shape, Stand};
use super::checkpoint::Checkpoint;
use super::encryption::{
    BegunValue, ENCRYPTED, ENVELOPE_BYTES, OVERHEAD_BYTES, OpenError, Opener, Opening, VALUE_HEADER_BYTES,
};
use super::error::{Corruption, Fault, Unsupported, readable};
use super::facts::Facts;
use super::limits::{INLINE_PAYLOAD_BYTES, LARGE_HEAD_BYTES, RESTORABLE_KEY_BYTES};
use super::namespace::{Class, is_node_local};
use super::operational::Operational;
use super::versions::{ReadAt, TIMESTAMP_BYTES, Verdict, Versions};

/// Flag byte and `expire_at` before every payload.
pub(super) const VERSION_HEADER_BYTES: usize = VALUE_HEADER_BYTES;
/// Both stand before what they belong to.
const SHAPE: Shape = Shape { suffix: TIMESTAMP_BYTES as u8, header: VERSION_HEADER_BYTES as u8 };
const TOMBSTONE: u8 = 0b001;
const RESERVED: u8 = !(TOMBSTONE | ENCRYPTED);

/// How many bytes of a stored value of this length a body has to show: all of it, or version header and head of a
/// payload that is large even if it is an envelope.
#[inline]
pub(super) fn shown_bytes(value_bytes: usize) -> usize {
    if value_bytes > VERSION_HEADER_BYTES + OVERHEAD_BYTES + INLINE_PAYLOAD_BYTES {
        VERSION_HEADER_BYTES + ENVELOPE_BYTES + LARGE_HEAD_BYTES
    } else {
        value_bytes
    }
}

/// A row as its body shows it.
pub(super) struct Framed<'a> {
    /// The key as stored.
    pub raw_key: &'a [u8],
    /// The first [`shown_bytes`] of the value as stored.
    pub value: &'a [u8],
    /// Length of the whole value, in bytes.
    pub value_bytes: usize,
    /// Offset of the row in the file, in bytes.
    pub offset: u64,
    /// Offset of the value in the file, if it can be read again there.
    pub value_at: Option<u64>,
}

/// What is left to do with a row.
pub(super) enum Judged {
    /// Nothing: the body goes on after it.
    Done,
    /// Its payload streams past first, from the end of the version header on.
    Streams(Box<Streams>),
}

/// A row that waits for its payload.
pub(super) struct PendingRow {
    pub class: Class,
    pub raw_key: Vec<u8>,
    pub raw_value: Vec<u8>,
    pub shape: Shape,
    pub stand: Stand,
    /// Where its payload can be read again, if it is not handed on in pieces.
    pub place: Option<Place>,
}

/// A payload that has to stream past before the body goes on.
pub(super) struct Streams {
    /// Goes into the batch after it.
    pub row: Option<PendingRow>,
    /// Is it handed on in pieces, or only looked at?
    pub in_pieces: bool,
    /// Length in bytes of what is handed on.
    pub length: u64,
    /// Sees every byte of it.
    pub watch: Option<Watch>,
}

/// Looks at a payload that streams past, for the row that it belongs to.
pub(super) struct Watch {
    pub opening: Box<Opening>,
    offset: u64,
    key: String,
    commit_ts: u64,
}

impl Watch {
    /// The end of the payload.
    ///
    /// # Errors
    /// The row is not what it says: its offset, and what it is instead.
    pub fn finish(self) -> Result<(), (u64, Fault)> {
        let Self { opening, offset, key, commit_ts } = self;
        opening.finish().map_err(|what| (offset, Fault::Encrypted { key, commit_ts, what }))
    }
}

/// What the rows so far decide about the next one.
#[derive(Default)]
pub(super) struct Judge {
    versions: Versions,
}

impl Judge {
    /// The state before the row that a checkpoint names.
    pub fn resumed(checkpoint: &Checkpoint) -> Self {
        Self { versions: Versions::resumed(checkpoint.last_key.clone(), &checkpoint.open_keys) }
    }

    /// The rule of versions, as the rows so far have left it.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Takes the next row, and puts it into the batch if it is visible.
    ///
    /// # Errors
    /// It is out of order, of a wrong shape, or of a kind that is not read.
    #[inline]
    pub fn take(
        &mut self,
        row: &Framed<'_>,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Judged, Fault> {
        let Framed { raw_key, value, value_bytes, offset, value_at } = *row;
        if !self.versions.advance(raw_key) {
            let (key, previous) = (readable(raw_key), readable(self.versions.last()));
            return Err(Corruption::OutOfOrder { key, previous }.into());
        }
        if raw_key.len() as u64 > RESTORABLE_KEY_BYTES {
            facts.oversize_keys += 1;
        }
        if let Some(row) = Operational::of(raw_key, value_bytes) {
            let Some(()) = facts.operational.take(row, value) else {
                let (key, length) = (readable(raw_key), value_bytes as u64);
                return Err(Corruption::OperationalValue { key, length }.into());
            };
            if let (Operational::Writer { key_id }, Some(keys)) = (row, facts.opener.keys())
                && !keys.lists(key_id)
            {
                facts.unlisted.add(key_id);
            }
            facts.counts.add(Class::Operational, Verdict::Visible);
            return Ok(Judged::Done);
        }
        let Some((user_key, &suffix)) = raw_key.split_last_chunk::<TIMESTAMP_BYTES>() else {
            return Err(Corruption::ShortKey(readable(raw_key)).into());
        };
        let (Some(&flags), Some(&expire_at)) = (value.first(), value.get(1..).and_then(<[u8]>::first_chunk))
        else {
            let (key, length) = (readable(raw_key), value_bytes as u64);
            return Err(Corruption::ShortValue { key, length }.into());
        };
        if facts.passes_over_versions {
            return Ok(Judged::Done);
        }
        if flags & RESERVED != 0 {
            let (key, bits) = (readable(raw_key), flags & RESERVED);
            return Err(Unsupported::Flags { key, bits }.into());
        }
        let commit_ts = !u64::from_be_bytes(suffix);
        let payload_bytes = (value_bytes - VERSION_HEADER_BYTES) as u64;
        let class = Class::of(user_key);
        let tombstone = flags & TOMBSTONE != 0;
        let expire_at = u64::from_le_bytes(expire_at);
        // Of an encrypted row neither is to be believed before it has been opened
        // (`docs/format/encryption.md` section 6). Every one is before its batch is handed on, and if one cannot be,
        // nothing of this file is used.
        let verdict = self.versions.judge(user_key.len(), commit_ts, tombstone, expire_at, read_at);
        facts.counts.add(class, verdict);
        let is_wanted = verdict == Verdict::Visible || !tombstone && is_node_local(user_key);
        let is_encrypted = flags & ENCRYPTED != 0;
        let payload_at = value_at.map(|at| at + VERSION_HEADER_BYTES as u64);
        let unopened = |facts: &mut Facts, what: OpenError| {
            let no_keys = matches!(what, OpenError::NoKeys(_));
            let fault = Fault::Encrypted { key: readable(user_key), commit_ts, what };
            // Anything else can come of a damaged byte, about which the footer knows more.
            if no_keys {
                return Err(fault);
            }
            facts.unopened.get_or_insert((offset, fault));
            Ok(Judged::Done)
        };
        // Most rows are short, and need no more than this.
        if !is_encrypted && payload_bytes <= INLINE_PAYLOAD_BYTES as u64 {
            if let Err(what) = facts.opener.check_clear(raw_key, value) {
                return unopened(facts, what);
            }
            facts.states.add(None, tombstone);
            if is_wanted {
                batch.push(class, raw_key, value, SHAPE, None, Stand { offset, commit_ts, payload_at });
            }
            return Ok(Judged::Done);
        }
        if is_encrypted && payload_bytes <= (OVERHEAD_BYTES + INLINE_PAYLOAD_BYTES) as u64 {
            match facts.opener.postpone(value) {
                Err(what) => return unopened(facts, what),
                Ok(sealed) => {
                    facts.states.add(Some(sealed.envelope.key_id), tombstone);
                    let stand = Stand { offset, commit_ts, payload_at: None };
                    batch.push_sealed(is_wanted.then_some(class), raw_key, &sealed, SHAPE, stand);
                    return Ok(Judged::Done);
                }
            }
        }
        let opened = if is_encrypted {
            open(&mut facts.opener, raw_key, value, payload_bytes, value_at)
        } else {
            look(&mut facts.opener, raw_key, value, payload_bytes, value_at)
        };
        let Value { head, length, key_id, place, opening } = match opened {
            Ok(opened) => opened,
            Err(what) => return unopened(facts, what),
        };
        facts.states.add(key_id, tombstone);
        let stand = Stand { offset, commit_ts, payload_at: payload_at.filter(|_| !is_encrypted) };
        let in_pieces = is_wanted && place.is_none();
        if opening.is_some() || in_pieces {
            let row = is_wanted.then(|| {
                let (raw_key, raw_value) = (raw_key.to_vec(), head.to_vec());
                PendingRow { class, raw_key, raw_value, shape: SHAPE, stand, place }
            });
            let watch = opening.map(|opening| Watch { opening, offset, key: readable(user_key), commit_ts });
            return Ok(Judged::Streams(Box::new(Streams { row, in_pieces, length, watch })));
        }
        if is_wanted {
            let large = place.map(|place| Large { place, length });
            batch.push(class, raw_key, head, SHAPE, large, stand);
        }
        Ok(Judged::Done)
    }
}

/// A large value as it stands in clear, or will once its payload has streamed past.
struct Value<'a> {
    /// Version header and the first bytes of the payload.
    head: &'a [u8],
    /// Length of the payload in bytes.
    length: u64,
    /// Under which key it was encrypted.
    key_id: Option<u32>,
    /// Where it can be read again.
    place: Option<Place>,
    /// Has to see the payload.
    opening: Option<Box<Opening>>,
}

/// Begins to open an encrypted value.
fn open<'a>(
    opener: &'a mut Opener,
    raw_key: &[u8],
    value: &[u8],
    payload_bytes: u64,
    value_at: Option<u64>,
) -> Result<Value<'a>, OpenError> {
    let BegunValue { opening, envelope, clear_head, clear_bytes } =
        opener.begin(raw_key, value, payload_bytes)?;
    let place = value_at
        .map(|at| Place::Sealed { offset: at + (VERSION_HEADER_BYTES + ENVELOPE_BYTES) as u64, envelope });
    let key_id = Some(envelope.key_id);
    Ok(Value { head: clear_head, length: clear_bytes, key_id, place, opening: Some(opening) })
}

/// Looks whether a clear value is one.
fn look<'a>(
    opener: &mut Opener,
    raw_key: &[u8],
    value: &'a [u8],
    payload_bytes: u64,
    value_at: Option<u64>,
) -> Result<Value<'a>, OpenError> {
    // A body may have shown more than the head.
    let opening = if value.len() as u64 == VERSION_HEADER_BYTES as u64 + payload_bytes {
        opener.check_clear(raw_key, value)?;
        None
    } else {
        opener.watch_clear(raw_key, value, payload_bytes)
    };
    let place = value_at.map(|at| Place::File { offset: at + VERSION_HEADER_BYTES as u64 });
    let head = value.get(..VERSION_HEADER_BYTES + LARGE_HEAD_BYTES).unwrap_or(value);
    Ok(Value { head, length: payload_bytes, key_id: None, place, opening })
}
