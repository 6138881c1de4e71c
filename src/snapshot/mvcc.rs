//! The body `EKVMVCC2` of the in-memory store: per key a list of versions in any order
//! (`docs/format/snapshot.md` section 3). Leaves header and footer to `header` and `reader`.

use super::batch::{Batch, Place, Shape};
use super::error::{Corruption, SnapshotError, Unsupported, readable};
use super::hlc::Hlc;
use super::input::Input;
use super::limits::{
    INLINE_PAYLOAD_BYTES, LARGE_HEAD_BYTES, MAX_MVCC_KEY_BYTES, MAX_MVCC_VALUE_BYTES, MAX_MVCC_VERSIONS,
};
use super::namespace::Class;
use super::pebble::within;
use super::reader::{Facts, LargePayload, Step};
use super::versions::{ReadAt, Verdict};

const VERSION: u32 = 1;
/// Commit timestamp, tombstone mark, expiry and value length.
const VERSION_BYTES: usize = 8 + 1 + 8 + 8;

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
    key: Vec<u8>,
    started: bool,
    versions_left: u64,
    /// Versions of the key that the read timestamp reaches.
    reached: u64,
    /// The newest of them so far.
    best: Option<Best>,
    stored: Vec<u8>,
}

struct Best {
    commit_ts: u64,
    tombstone: bool,
    expire_at: u64,
    large: Option<(Place, u64)>,
    offset: u64,
}

impl Keys {
    /// Reads the beginning of a key, or one version; with the last version of a key, the visible one goes into
    /// the batch.
    pub fn step(
        &mut self,
        input: &mut Input,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Step, SnapshotError> {
        if self.versions_left == 0 && !self.begin_key(input)? {
            return Ok(Step::End);
        }
        let mut step = Step::Row;
        if self.versions_left > 0 {
            step = self.version(input, read_at, facts)?;
            self.versions_left -= 1;
        }
        if self.versions_left == 0 {
            self.end_key(read_at, facts, batch);
        }
        Ok(step)
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
        self.started = true;
        within(input, start, "number of versions", versions, MAX_MVCC_VERSIONS)?;
        (self.versions_left, self.reached, self.best) = (versions, 0, None);
        input.consume(16 + key_bytes);
        Ok(true)
    }

    fn version(
        &mut self,
        input: &mut Input,
        read_at: &ReadAt,
        facts: &mut Facts,
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
        let class = Class::of(&self.key);
        let newest = match &self.best {
            _ if !read_at.reaches(commit_ts) => {
                facts.counts.add(class, Verdict::AfterReadTimestamp);
                false
            }
            Some(best) if best.commit_ts == commit_ts => {
                let key = readable(&self.key);
                return Err(input.corrupt(start, Corruption::TwinVersions { key, commit_ts }));
            }
            Some(best) => {
                self.reached += 1;
                best.commit_ts < commit_ts
            }
            None => {
                self.reached += 1;
                true
            }
        };
        let whole = VERSION_BYTES + value_bytes;
        if !newest {
            return skip(input, start, whole);
        }
        let large = value_bytes > INLINE_PAYLOAD_BYTES;
        let copied = if large { LARGE_HEAD_BYTES } else { value_bytes };
        let Some(value) = input.peek(VERSION_BYTES + copied)?.get(VERSION_BYTES..VERSION_BYTES + copied)
        else {
            return Err(input.truncated(start, "version"));
        };
        self.stored.clear();
        self.stored.extend_from_slice(&self.key);
        self.stored.extend_from_slice(value);
        let mut best = Best { commit_ts, tombstone: mark == 1, expire_at, large: None, offset: start };
        if large && !facts.rereadable {
            let number = facts.next_number();
            best.large = Some((Place::Pieces { number }, length));
            self.best = Some(best);
            input.consume(VERSION_BYTES);
            return Ok(Step::Large(LargePayload { number, length, remaining: length, row: None }));
        }
        if large {
            best.large = Some((Place::File { offset: start + VERSION_BYTES as u64 }, length));
        }
        self.best = Some(best);
        skip(input, start, whole)
    }

    fn end_key(&mut self, read_at: &ReadAt, facts: &mut Facts, batch: &mut Batch) {
        let Some(best) = self.best.take() else { return };
        let class = Class::of(&self.key);
        for _ in 1..self.reached {
            facts.counts.add(class, Verdict::Superseded);
        }
        let verdict = read_at.decide(best.tombstone, best.expire_at);
        facts.counts.add(class, verdict);
        if verdict == Verdict::Visible {
            let shape = Shape { key: self.key.len(), suffix: 0, gap: 0, header: 0 };
            batch.push(class, &self.stored, &shape, best.large, best.offset);
        }
    }
}

fn skip(input: &mut Input, start: u64, bytes: usize) -> Result<Step, SnapshotError> {
    if input.skip(bytes as u64)? { Ok(Step::Row) } else { Err(input.truncated(start, "version")) }
}

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|&chunk| u64::from_le_bytes(chunk))
}
