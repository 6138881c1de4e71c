//! The body `EKVMVCC2` of the in-memory store: per key a list of versions in any order
//! (`docs/format/snapshot.md` section 3). Leaves header and footer to `header` and `reader`.

use super::batch::{Batch, Large, Place, Shape, Stand};
use super::error::{Corruption, SnapshotError, Unsupported, readable};
use super::facts::Facts;
use super::hlc::Hlc;
use super::input::Input;
use super::limits::{
    INLINE_PAYLOAD_BYTES, LARGE_HEAD_BYTES, MAX_MVCC_KEY_BYTES, MAX_MVCC_VALUE_BYTES, MAX_MVCC_VERSIONS,
};
use super::namespace::{Class, is_node_local};
use super::pebble::within;
use super::row::{PendingRow, Streams};
use super::step::{LargePayload, Step};
use super::versions::{ReadAt, Verdict};

const VERSION: u32 = 1;
/// Commit timestamp, tombstone mark, expiry and value length.
const VERSION_BYTES: usize = 8 + 1 + 8 + 8;
/// Keys and values stand here by themselves.
const BARE: Shape = Shape { suffix: 0, header: 0 };

/// The fields before the first key.
pub(super) struct Prelude {
    /// Commit timestamp of the newest write.
    pub last_commit_ts: Hlc,
    /// Oldest timestamp at which the store can be read.
    pub min_retained_ts: Hlc,
    /// CRC-32 (IEEE) that the rest of the body must have.
    pub checksum: u32,
}

/// Reads the fields before the first key, and begins the checksum that covers what follows it.
///
/// # Errors
/// Another version; the end of the file.
pub(super) fn read_prelude(input: &mut Input) -> Result<Prelude, SnapshotError> {
    let start = input.offset();
    let shown = input.peek(24)?;
    let fields = (shown.first_chunk(), shown.get(4..).and_then(<[u8]>::first_chunk));
    let (Some(&version), Some(&checksum)) = fields else {
        return Err(input.truncated(start, "body header"));
    };
    let version = u32::from_le_bytes(version);
    if version != VERSION {
        return Err(input.unsupported(start, Unsupported::MvccVersion(version)));
    }
    let (Some(last), Some(oldest)) = (le64(shown, 8), le64(shown, 16)) else {
        return Err(input.truncated(start, "body header"));
    };
    input.consume(8);
    input.begin_ieee();
    input.consume(16);
    Ok(Prelude {
        last_commit_ts: Hlc(last),
        min_retained_ts: Hlc(oldest),
        checksum: u32::from_le_bytes(checksum),
    })
}

/// The state of the body between two versions.
#[derive(Default)]
pub(super) struct Keys {
    /// The key whose versions are being read, and where it begins in the file.
    key: Vec<u8>,
    offset: u64,
    started: bool,
    versions_left: u64,
    /// Commit timestamps of its versions so far: they come in any order, and none may come twice.
    timestamps: Vec<u64>,
    /// The newest version so far that the read timestamp reaches.
    best: Option<Best>,
    /// The value of the newest or node-local version, cut after the head if it is large.
    value: Vec<u8>,
}

struct Best {
    verdict: Verdict,
    large: Option<Large>,
    stand: Stand,
    /// Has its value in `value` that goes into the batch if no newer version comes.
    waits: bool,
}

impl Keys {
    /// Reads the beginning of a key, or one version. Once all versions of a key and the pieces of their payloads
    /// have been read, the next step puts the visible one into the batch; versions of a node-local key go there as
    /// they come.
    pub fn step(
        &mut self,
        input: &mut Input,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Step, SnapshotError> {
        if self.versions_left > 0 {
            self.versions_left -= 1;
            return self.version(input, read_at, facts, batch);
        }
        self.end_key(input, facts, batch)?;
        if self.begin_key(input)? { Ok(Step::Row) } else { Ok(Step::End) }
    }

    fn begin_key(&mut self, input: &mut Input) -> Result<bool, SnapshotError> {
        let start = input.offset();
        let shown = input.peek(8)?;
        let Some(length) = le64(shown, 0) else {
            return match shown.len() {
                0 | 4 => Ok(false),
                _ => Err(input.truncated(start, "key")),
            };
        };
        let key_bytes = within(input, start, "key", length, MAX_MVCC_KEY_BYTES)?;
        let shown = input.peek(16 + key_bytes)?;
        let Some(versions) = le64(shown, 8 + key_bytes) else {
            return Err(input.truncated(start, "key"));
        };
        let key = &shown[8..8 + key_bytes];
        if self.started && key <= &self.key[..] {
            let (key, previous) = (readable(key), readable(&self.key));
            return Err(input.corrupt(start, Corruption::OutOfOrder { key, previous }));
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        within(input, start, "number of versions", versions, MAX_MVCC_VERSIONS)?;
        (self.started, self.offset, self.versions_left) = (true, start, versions);
        input.consume(16 + key_bytes);
        Ok(true)
    }

    fn version(
        &mut self,
        input: &mut Input,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Step, SnapshotError> {
        let start = input.offset();
        let shown = input.peek(VERSION_BYTES)?;
        let fields = (le64(shown, 0), shown.get(8), le64(shown, 9), le64(shown, 17));
        let (Some(commit_ts), Some(&mark), Some(expire_at), Some(length)) = fields else {
            return Err(input.truncated(start, "version"));
        };
        if mark > 1 {
            let key = readable(&self.key);
            return Err(input.corrupt(start, Corruption::TombstoneMark { key, mark }));
        }
        let value_bytes = within(input, start, "value", length, MAX_MVCC_VALUE_BYTES)?;
        let whole = VERSION_BYTES + value_bytes;
        let payload_at = start + VERSION_BYTES as u64;
        let stand = Stand { offset: start, commit_ts, payload_at: facts.rereadable.then_some(payload_at) };
        self.timestamps.push(commit_ts);
        facts.states.add(None, mark == 1);
        let visible = self.weigh(read_at, mark == 1, expire_at, stand, facts);
        let local = mark == 0 && is_node_local(&self.key);
        if !visible && !local {
            return skip(input, start, whole);
        }
        let large = value_bytes > INLINE_PAYLOAD_BYTES;
        let copied = if large { LARGE_HEAD_BYTES } else { value_bytes };
        let Some(value) = input.peek(VERSION_BYTES + copied)?.get(VERSION_BYTES..VERSION_BYTES + copied)
        else {
            return Err(input.truncated(start, "version"));
        };
        self.value.clear();
        self.value.extend_from_slice(value);
        if large && !facts.rereadable {
            let number = facts.next_number();
            self.settle(visible && !local, Some(Large { place: Place::Pieces { number }, length }));
            input.consume(VERSION_BYTES);
            let class = Class::of(&self.key);
            let (key, value) = (&self.key, &self.value);
            let row = local.then(|| PendingRow {
                class,
                raw_key: key.clone(),
                raw_value: value.clone(),
                shape: BARE,
                stand,
                place: None,
            });
            let part_of = ("version", start);
            let streams = Box::new(Streams { row, in_pieces: true, length, watch: None });
            return Ok(Step::Large(LargePayload { number, remaining: length, part_of, streams }));
        }
        let large = large.then_some(Large { place: Place::File { offset: payload_at }, length });
        self.settle(visible && !local, large);
        if local {
            batch.push(Class::of(&self.key), &self.key, &self.value, BARE, large, stand);
        }
        skip(input, start, whole)
    }

    /// Counts a version, and says whether it is the newest so far and has a value that can be seen.
    fn weigh(
        &mut self,
        read_at: &ReadAt,
        tombstone: bool,
        expire_at: u64,
        stand: Stand,
        facts: &mut Facts,
    ) -> bool {
        let class = Class::of(&self.key);
        if !read_at.reaches(stand.commit_ts) {
            facts.counts.add(class, Verdict::AfterReadTimestamp);
            return false;
        }
        if let Some(best) = &self.best {
            // Of any two, the older one is superseded.
            facts.counts.add(class, Verdict::Superseded);
            if stand.commit_ts <= best.stand.commit_ts {
                return false;
            }
        }
        let verdict = read_at.decide(tombstone, expire_at);
        self.best = Some(Best { verdict, large: None, stand, waits: false });
        verdict == Verdict::Visible
    }

    /// Says of the newest version so far whether its row `waits` for the end of the key, and where its payload is.
    fn settle(&mut self, waits: bool, large: Option<Large>) {
        if let Some(best) = self.best.as_mut().filter(|_| waits) {
            (best.waits, best.large) = (true, large);
        }
    }

    fn end_key(&mut self, input: &Input, facts: &mut Facts, batch: &mut Batch) -> Result<(), SnapshotError> {
        if !self.timestamps.is_sorted() {
            self.timestamps.sort_unstable();
        }
        if let Some(twins) = self.timestamps.windows(2).find(|pair| pair[0] == pair[1]) {
            let (key, commit_ts) = (readable(&self.key), twins[0]);
            return Err(input.corrupt(self.offset, Corruption::TwinVersions { key, commit_ts }));
        }
        self.timestamps.clear();
        let Some(best) = self.best.take() else { return Ok(()) };
        let class = Class::of(&self.key);
        facts.counts.add(class, best.verdict);
        if best.waits {
            batch.push(class, &self.key, &self.value, BARE, best.large, best.stand);
        }
        Ok(())
    }
}

fn skip(input: &mut Input, start: u64, bytes: usize) -> Result<Step, SnapshotError> {
    if input.skip(bytes as u64)? { Ok(Step::Row) } else { Err(input.truncated(start, "version")) }
}

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|&chunk| u64::from_le_bytes(chunk))
}
