//! Large synthetic files for measuring.
//!
//! Owns: a few shapes of data, at any size, in constant memory, and the same bytes for the same call.
//! Keys are generated in ascending raw-key order, since nothing here could sort them.
//! Leaves: keys made of numbers to `numbers`, correctness tests to small files, and realism to the fixtures.

mod numbers;

use std::io::{self, Write};

use clap::ValueEnum;
use md5::{Digest, Md5};

pub(crate) use self::numbers::Numbered;
use self::numbers::{MessageIds, Shuffle};
use crate::container::{Footer, HlcHeader};
use crate::dynamodb_rows::{self as ddb, Attribute, TableSchema};
use crate::redis_rows::{self as redis, Counted, Fence};
use crate::s3_rows::{self as s3, Part, Upload};
use crate::sqs_rows::{self as sqs, Home};
use crate::writer::{APPLIED_INDEX, LAST_COMMIT_TS, MIN_RETAINED_TS, SnapshotWriter};

const NOW_MS: u64 = 1_714_400_000_000;
const NOW: u64 = NOW_MS << 16;
pub(crate) const SEED: u64 = 1;
pub(crate) const HASH_FIELDS: u64 = 100;
const LIST_ITEMS: u64 = 1000;
const STREAM_ENTRIES: u64 = 1000;
const STRING_BYTES: usize = 100;
const BLOB_BYTES: usize = 1 << 20;
const ITEM_BYTES: usize = 300;
const OBJECT_CHUNKS: u64 = 8;
const CHUNK_BYTES: usize = 1 << 20;
const MESSAGE_BYTES: usize = 200;

/// What the file holds; N is the size asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// N strings of 100 bytes
    Strings,
    /// N/100 hashes of 100 fields, 40-byte values
    Hashes,
    /// One sorted set of N members
    Zset,
    /// N/1000 streams of 1000 entries, two fields each
    Streams,
    /// N/1000 lists of 1000 items
    Lists,
    /// N strings of 1 MiB
    Blobs,
    /// One DynamoDB table of N items of 300 bytes, with an index
    Dynamodb,
    /// N objects of 8 MiB in one bucket, in chunks of 1 MiB
    S3,
    /// N objects of 100 bytes in folders of 100
    S3Small,
    /// N strings with what a busy node keeps around them: 12 rows a key, old versions, tombstones and fences
    Churn,
    /// One SQS queue of N messages of 200 bytes, sent in another order than that of their keys, with their index rows
    Sqs,
}

impl Scenario {
    /// How many versioned rows the file holds for a size of `n`.
    pub fn rows(self, n: u64) -> u64 {
        let collections = |per: u64| n / per * (per + 1);
        match self {
            Self::Strings | Self::Blobs => n,
            Self::Hashes => collections(HASH_FIELDS),
            Self::Zset => n + 1,
            Self::Streams => collections(STREAM_ENTRIES),
            Self::Lists => collections(LIST_ITEMS),
            Self::Dynamodb => 2 * n + 2,
            // Chunks, a manifest each, and the bucket with its counter.
            Self::S3 => (OBJECT_CHUNKS + 1) * n + 2,
            Self::S3Small => 2 * n + 2,
            Self::Churn => 12 * n,
            Self::Sqs => 3 * n + 2,
        }
    }
}

/// Writes a whole file of size `n` and hands `out` back. With `plain` it has no HLC header, no
/// operational rows and no footer.
pub fn generate<W: Write>(scenario: Scenario, n: u64, plain: bool, out: W) -> io::Result<W> {
    let header = if plain { HlcHeader::None } else { HlcHeader::V1 { ceiling_ms: NOW_MS } };
    let mut writer = SnapshotWriter::new(out, &header, NOW)?;
    match scenario {
        Scenario::Strings => strings(&mut writer, n, b"user:", STRING_BYTES)?,
        Scenario::Hashes => hashes(&mut writer, n / HASH_FIELDS)?,
        Scenario::Zset => zset(&mut writer, n)?,
        Scenario::Streams => streams(&mut writer, n / STREAM_ENTRIES)?,
        Scenario::Lists => lists(&mut writer, n / LIST_ITEMS)?,
        Scenario::Blobs => strings(&mut writer, n, b"blob:", BLOB_BYTES)?,
        Scenario::Dynamodb => dynamodb(&mut writer, n)?,
        Scenario::S3 => objects(&mut writer, n, OBJECT_CHUNKS, CHUNK_BYTES)?,
        Scenario::S3Small => objects(&mut writer, n, 1, STRING_BYTES)?,
        Scenario::Churn => churn(&mut writer, n)?,
        Scenario::Sqs => queue(&mut writer, n)?,
    }
    if plain {
        return writer.finish(Footer::None);
    }
    writer.operational(APPLIED_INDEX, 4711)?;
    writer.operational(LAST_COMMIT_TS, NOW)?;
    writer.operational(MIN_RETAINED_TS, 1)?;
    writer.finish(Footer::Good)
}

type Out<W> = SnapshotWriter<W>;

fn strings<W: Write>(out: &mut Out<W>, n: u64, name: &[u8], len: usize) -> io::Result<()> {
    let mut value = redis::string_value(&random(len), None);
    let tail = value.len() - 8;
    let mut key = Numbered::new(&redis::string_key(name), 12);
    for i in 0..n {
        value[tail..].copy_from_slice(&i.to_be_bytes());
        out.version(key.at(i), NOW, &value)?;
    }
    Ok(())
}

fn hashes<W: Write>(out: &mut Out<W>, n: u64) -> io::Result<()> {
    let mut uk = Numbered::new(b"profile:", 10);
    let mut value = Numbered::new(b"value-", 34);
    for i in 0..n {
        let mut field = Numbered::new(&redis::element_key(Counted::Hash, uk.at(i), b"field:"), 4);
        for j in 0..HASH_FIELDS {
            out.version(field.at(j), NOW, value.at(i * HASH_FIELDS + j))?;
        }
    }
    for i in 0..n {
        let meta = redis::count_meta(HASH_FIELDS, None);
        out.version(&redis::count_meta_key(Counted::Hash, uk.at(i)), NOW, &meta)?;
    }
    Ok(())
}

fn zset<W: Write>(out: &mut Out<W>, n: u64) -> io::Result<()> {
    let uk = b"leaderboard";
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut member = Numbered::new(&redis::element_key(Counted::ZSet, uk, b"player:"), 12);
    for i in 0..n {
        out.version(member.at(i), NOW, &(rng.f64() * 1e6).to_be_bytes())?;
    }
    out.version(&redis::count_meta_key(Counted::ZSet, uk), NOW, &redis::count_meta(n, None))
}

fn streams<W: Write>(out: &mut Out<W>, n: u64) -> io::Result<()> {
    let mut uk = Numbered::new(b"events:", 10);
    let (mut sensor, mut reading) = (Numbered::new(b"s", 5), Numbered::new(b"", 12));
    for i in 0..n {
        for j in 0..STREAM_ENTRIES {
            let ms = NOW_MS + j;
            let id = format!("{ms}-0");
            let fields = [b"sensor", sensor.at(i), b"reading", reading.at(j)];
            let entry = redis::stream_entry(id.as_bytes(), &fields);
            out.version(&redis::stream_entry_key(uk.at(i), ms, 0), NOW, &entry)?;
        }
    }
    for i in 0..n {
        let meta = redis::stream_meta(STREAM_ENTRIES, (NOW_MS + STREAM_ENTRIES - 1, 0), None, None);
        out.version(&redis::stream_meta_key(uk.at(i)), NOW, &meta)?;
    }
    Ok(())
}

fn lists<W: Write>(out: &mut Out<W>, n: u64) -> io::Result<()> {
    let mut uk = Numbered::new(b"queue:", 10);
    let mut item = Numbered::new(b"job-", 60);
    for i in 0..n {
        for j in 0..LIST_ITEMS {
            out.version(&redis::list_item_key(uk.at(i), j as i64), NOW, item.at(j))?;
        }
    }
    for i in 0..n {
        let meta = redis::list_meta(0, LIST_ITEMS as i64, LIST_ITEMS, None);
        out.version(&redis::list_meta_key(uk.at(i)), NOW, &meta)?;
    }
    Ok(())
}

fn dynamodb<W: Write>(out: &mut Out<W>, n: u64) -> io::Result<()> {
    const STATUS: [&str; 2] = ["open", "paid"];
    let mut schema = TableSchema::new("orders", "S");
    schema.indexes.push(("by_status".into(), "status".into(), String::new(), "KEYS_ONLY".into()));
    let terminated = |key: &[u8]| [key, &[0, 1]].concat();
    let mut id = Numbered::new(b"order-", 12);
    for (at, status) in (0..).zip(STATUS) {
        let index = ddb::index_key("orders", 1, "by_status", &ddb::segment(status.as_bytes()));
        for i in (at..n).step_by(STATUS.len()) {
            let item = ddb::item_key("orders", 1, &terminated(id.at(i)));
            out.version(&[&index, id.at(i), &[0, 1]].concat(), NOW, &item)?;
        }
    }
    // One item serves as the mould of all: id and total are always as long.
    let total = || "0".repeat(8);
    let filled = |filler: usize, status: &str| {
        ddb::item_value(&[
            ("id", Attribute::s("order-000000000000")),
            ("note", Attribute::S("n".repeat(filler))),
            ("status", Attribute::s(status)),
            ("total", Attribute::N(total())),
        ])
    };
    let filler = ITEM_BYTES - filled(128, STATUS[0]).len() + 128;
    let mut moulds = STATUS.map(|status| filled(filler, status));
    let place = |mould: &[u8], of: &[u8]| mould.windows(of.len()).position(|window| window == of);
    let id_at = place(&moulds[0], b"order-0").unwrap_or_default();
    let total_at = moulds[0].len() - 8;
    let mut digits = Numbered::new(b"", 8);
    for i in 0..n {
        let mould = &mut moulds[(i % 2) as usize];
        mould[id_at..id_at + 18].copy_from_slice(id.at(i));
        mould[total_at..].copy_from_slice(digits.at(i * 7919 % 100_000_000));
        out.version(&ddb::item_key("orders", 1, &terminated(id.at(i))), NOW, mould)?;
    }
    out.version(&ddb::counter_key("orders"), NOW, b"1")?;
    out.version(&ddb::schema_key("orders"), NOW, &schema.value())
}

/// Objects of so many chunks. Their MD5s are kept until the manifests, 16 bytes each.
fn objects<W: Write>(out: &mut Out<W>, n: u64, chunks: u64, bytes: usize) -> io::Result<()> {
    let bucket = b"media";
    let mut folder = Numbered::new(b"folder-", 8);
    let mut key = |i: u64| [folder.at(i / 100), format!("/object-{i:010}").as_bytes()].concat();
    let mut value = random(bytes);
    let mut sums: Vec<[u8; 16]> = Vec::new();
    for i in 0..n {
        let (object, mut md5) = (key(i), Md5::new());
        let upload =
            Upload { bucket, generation: 1, object: &object, id: b"00000000000000000000000000000001" };
        for chunk in 0..chunks {
            value[bytes - 8..].copy_from_slice(&(i * chunks + chunk).to_be_bytes());
            md5.update(&value);
            out.version(&upload.chunk_key(1, chunk, 0), NOW, &value)?;
        }
        sums.push(md5.finalize().into());
    }
    out.version(&s3::generation_key(bucket), NOW, &1u64.to_be_bytes())?;
    out.version(&s3::bucket_key(bucket), NOW, &s3::bucket_meta("media", 1, ",\"region\":\"us-east-1\""))?;
    for (i, sum) in sums.iter().enumerate() {
        let object = key(i as u64);
        let upload =
            Upload { bucket, generation: 1, object: &object, id: b"00000000000000000000000000000001" };
        let etag: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        let chunks = vec![bytes as u64; chunks as usize];
        let part = Part { number: 1, etag: etag.clone(), chunks, ..Part::default() };
        let manifest = upload.manifest(&etag, NOW, &[part], ",\"content_type\":\"image/jpeg\"");
        out.version(&upload.head_key(), NOW, &manifest)?;
    }
    Ok(())
}

fn churn<W: Write>(out: &mut Out<W>, n: u64) -> io::Result<()> {
    let mut uk = Numbered::new(b"user:", 12);
    for i in 0..n {
        out.tombstone(&redis::count_meta_key(Counted::Hash, uk.at(i)), NOW)?;
    }
    for i in 0..n {
        out.tombstone(&redis::list_meta_key(uk.at(i)), NOW)?;
    }
    let mut value = redis::string_value(&random(STRING_BYTES), None);
    let tail = value.len() - 8;
    for i in 0..n {
        for age in 0..3u32 {
            value[tail..tail + 4].copy_from_slice(&age.to_be_bytes());
            value[tail + 4..].copy_from_slice(&(i as u32).to_be_bytes());
            out.version(&redis::string_key(uk.at(i)), NOW - u64::from(age), &value)?;
        }
    }
    for i in 0..n {
        out.tombstone(&redis::ttl_key(uk.at(i)), NOW)?;
    }
    for fence in [Fence::Hash, Fence::List, Fence::Set, Fence::ZSet] {
        for i in 0..n {
            // Not empty: readers are to ignore the value, and to be timed with one.
            out.version(&redis::fence_key(fence, uk.at(i)), NOW, &[1])?;
        }
    }
    for kind in [Counted::Set, Counted::ZSet] {
        for i in 0..n {
            out.tombstone(&redis::count_meta_key(kind, uk.at(i)), NOW)?;
        }
    }
    Ok(())
}

fn queue<W: Write>(out: &mut Out<W>, n: u64) -> io::Result<()> {
    const NAME: &str = "jobs";
    let (home, mut ids, order) = (Home::classic(NAME, 1), MessageIds::new(), Shuffle::new(n));
    let sent = |nth: u64| NOW_MS - n + nth;
    for nth in 0..n {
        let id = ids.at(order.key_of(nth));
        out.version(&home.byage(sent(nth), id), NOW, id.as_bytes())?;
    }
    let mut body = random(MESSAGE_BYTES);
    body.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
    for key in 0..n {
        body[..8].copy_from_slice(format!("{:08}", key % 100_000_000).as_bytes());
        let more = ",\"md5_of_body\":\"0123456789abcdef0123456789abcdef\",\"current_receipt_token\":\"AAECAwQFBgcICQoLDA0ODw==\"";
        let (key, value) = home.message(ids.at(key), &body, sent(order.nth_of(key)), more);
        out.version(&key, NOW, &value)?;
    }
    for nth in 0..n {
        let id = ids.at(order.key_of(nth));
        out.version(&home.vis(sent(nth), id), NOW, id.as_bytes())?;
    }
    out.version(&sqs::generation_key(NAME), NOW, b"1")?;
    let (key, value) = sqs::queue(NAME, 1, "");
    out.version(&key, NOW, &value)
}

fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(SEED).fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::frame;
    use crate::split::raw_rows;

    fn size(scenario: Scenario) -> u64 {
        if matches!(scenario, Scenario::Blobs | Scenario::S3) { 3 } else { 3000 }
    }

    #[test]
    fn every_scenario_is_strictly_ascending_and_has_the_rows_it_promises() {
        for &scenario in Scenario::value_variants() {
            let n = size(scenario);
            for (plain, header_len, operational) in [(true, 0, 0), (false, 16, 3)] {
                let file = generate(scenario, n, plain, Vec::new()).unwrap();
                let rows = raw_rows(&file, header_len, !plain);
                assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "{scenario:?} is out of order");
                assert_eq!(rows.len() as u64, scenario.rows(n) + operational, "{scenario:?}");
            }
        }
    }

    #[test]
    fn the_same_call_gives_the_same_bytes_and_a_right_footer() {
        for &scenario in Scenario::value_variants() {
            let file = generate(scenario, size(scenario), false, Vec::new()).unwrap();
            assert!(file == generate(scenario, size(scenario), false, Vec::new()).unwrap(), "{scenario:?}");
            let body = &file[..file.len() - 4];
            assert!(file == frame(&HlcHeader::None, body, Footer::Good), "{scenario:?}");
        }
    }

    #[test]
    fn every_item_of_a_table_has_300_bytes() {
        let file = generate(Scenario::Dynamodb, 1000, true, Vec::new()).unwrap();
        let rows = raw_rows(&file, 0, false);
        let items: Vec<_> = rows.iter().filter(|(key, _)| key.starts_with(b"!ddb|item|")).collect();
        assert_eq!(items.len(), 1000);
        assert!(items.iter().all(|(_, value)| value.len() == 9 + ITEM_BYTES));
    }
}
