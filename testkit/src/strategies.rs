//! proptest strategies for sets of versions that are hard to resolve.
//!
//! Owns: the interleaving of `docs/format/snapshot.md` section 5: a key K·x whose x looks like a
//! complemented timestamp of K lands between two versions of K, several levels deep. Also equal
//! timestamps across keys, tombstones, and expiries on both sides of the read time.
//!
//! Leaves: the expected answer to [`crate::oracle`], files to the writers. Payloads say nothing to any
//! family; give a prefix if the rows must belong to one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::version::Version;

// A realistic HLC: Unix milliseconds of April 2024 above a 16-bit counter.
const REAL_CLOCK: u64 = 1_714_400_000_000 << 16;

/// A set of versions and the timestamps to read it at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Versions in no order; no two of one key have the same timestamp, and no two the same payload
    /// unless it is empty, so a wrong choice shows.
    pub versions: Vec<Version>,
    /// The body's `last_commit_ts`; now and then below the newest version.
    pub last_commit_ts: u64,
    /// The read timestamp; `None` = no upper bound.
    pub read_ts: Option<u64>,
}

/// How a key grows into a longer one.
#[derive(Debug, Clone)]
enum Step {
    /// The first `len` bytes of the complement of a used timestamp, moved by -1, 0 or 1.
    Complement { of: Index, moved: i64, len: usize },
    /// A byte of the short alphabet.
    Letter(u8),
}

#[derive(Debug, Clone)]
enum Kind {
    Put,
    EmptyPut,
    Tombstone,
    Expiring { around: Index, moved: i64 },
}

#[derive(Debug, Clone)]
struct Row {
    chain: Index,
    level: Index,
    ts: Index,
    kind: Kind,
}

#[derive(Debug, Clone)]
struct Chain {
    root: Vec<u8>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Times {
    last_commit: Option<Index>,
    read: Option<(Index, i64)>,
}

fn letter() -> impl Strategy<Value = u8> {
    select(&[b'a', b'b', 0x00, 0xff][..])
}

fn moved() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 1 => Just(-1), 1 => Just(1)]
}

// Small steps make neighbours, large ones make complements differ in their early bytes.
fn clock() -> impl Strategy<Value = Vec<u64>> {
    let tick = prop_oneof![0..6u64, (0..3u64).prop_map(|n| n << 8), (0..3u64).prop_map(|n| n << 16)];
    (prop_oneof![Just(1), Just(REAL_CLOCK)], vec(tick, 3..7))
        .prop_map(|(base, ticks)| ticks.into_iter().map(|tick| base + tick).collect())
}

fn chain() -> impl Strategy<Value = Chain> {
    let complement = (any::<Index>(), moved(), prop_oneof![1 => 1..8usize, 3 => Just(8usize)])
        .prop_map(|(of, moved, len)| Step::Complement { of, moved, len });
    let step = prop_oneof![4 => complement, 1 => letter().prop_map(Step::Letter)];
    (vec(letter(), 0..3), vec(step, 1..4)).prop_map(|(root, steps)| Chain { root, steps })
}

fn row() -> impl Strategy<Value = Row> {
    let expiring = (any::<Index>(), moved()).prop_map(|(around, moved)| Kind::Expiring { around, moved });
    let kind = prop_oneof![
        4 => Just(Kind::Put),
        1 => Just(Kind::EmptyPut),
        2 => Just(Kind::Tombstone),
        2 => expiring,
    ];
    (any::<Index>(), any::<Index>(), any::<Index>(), kind).prop_map(|(chain, level, ts, kind)| Row {
        chain,
        level,
        ts,
        kind,
    })
}

/// Histories whose user keys all begin with `prefix`, such as `!redis|str|`, or nothing.
pub fn histories(prefix: &[u8]) -> impl Strategy<Value = History> + use<> {
    let prefix = prefix.to_vec();
    let times =
        (proptest::option::weighted(0.2, any::<Index>()), proptest::option::of((any::<Index>(), moved())))
            .prop_map(|(last_commit, read)| Times { last_commit, read });
    (clock(), vec(chain(), 1..3), vec(row(), 1..56), times)
        .prop_map(move |(clock, chains, rows, times)| assemble(&prefix, &clock, &chains, &rows, &times))
}

fn assemble(prefix: &[u8], clock: &[u64], chains: &[Chain], rows: &[Row], times: &Times) -> History {
    let newest = clock.iter().copied().max().unwrap_or(1);
    let last_commit_ts = times.last_commit.map_or(newest, |index| *index.get(clock));
    let read_ts = times.read.map(|(index, moved)| index.get(clock).saturating_add_signed(moved));
    let judged_at = read_ts.unwrap_or(last_commit_ts);

    let keys: Vec<Vec<Vec<u8>>> = chains.iter().map(|chain| grown(prefix, clock, chain)).collect();
    let mut seen = BTreeSet::new();
    let mut versions = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let grown: &Vec<Vec<u8>> = row.chain.get(&keys);
        let user_key = row.level.get(grown).clone();
        let commit_ts = *row.ts.get(clock);
        if !seen.insert((user_key.clone(), commit_ts)) {
            continue;
        }
        let payload = format!("v{number}");
        versions.push(match row.kind {
            Kind::Put => Version::put(user_key, commit_ts, payload),
            Kind::EmptyPut => Version::put(user_key, commit_ts, []),
            Kind::Tombstone => Version::tombstone(user_key, commit_ts),
            Kind::Expiring { around, moved } => {
                let pivots = [judged_at, judged_at, last_commit_ts, commit_ts];
                // 0 would mean "never", which plain puts already cover.
                let expire_at = around.get(&pivots).saturating_add_signed(moved).max(1);
                Version::expiring(user_key, commit_ts, expire_at, payload)
            }
        });
    }
    History { versions, last_commit_ts, read_ts }
}

/// The chain's root and every longer key its steps lead to.
fn grown(prefix: &[u8], clock: &[u64], chain: &Chain) -> Vec<Vec<u8>> {
    let mut key = [prefix, &chain.root].concat();
    let mut keys = vec![key.clone()];
    for step in &chain.steps {
        match *step {
            Step::Letter(byte) => key.push(byte),
            Step::Complement { of, moved, len } => {
                let ts = of.get(clock).saturating_add_signed(moved);
                key.extend_from_slice(&(!ts).to_be_bytes()[..len]);
            }
        }
        keys.push(key.clone());
    }
    keys
}

/// How deep the rows interleave in raw-key order: 0 if every key's versions are adjacent, 1 if some
/// key has another key's row between its own, 2 if that row, too, stands between two of its key, …
pub fn interleaving_depth(versions: &[Version]) -> usize {
    let rows: BTreeMap<Vec<u8>, &[u8]> =
        versions.iter().map(|version| (version.raw_key(), version.user_key.as_slice())).collect();
    let keys: Vec<&[u8]> = rows.into_values().collect();
    let mut spans: BTreeMap<&[u8], (usize, usize)> = BTreeMap::new();
    for (position, key) in keys.iter().enumerate() {
        spans.entry(key).or_insert((position, position)).1 = position;
    }
    let depth_at = |position: usize, key: &[u8]| {
        spans
            .iter()
            .filter(|(other, (first, last))| **other != key && *first < position && position < *last)
            .count()
    };
    keys.iter().enumerate().map(|(position, key)| depth_at(position, key)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::oracle::{Fate, judge};

    const SAMPLES: usize = 1000;

    fn samples() -> Vec<History> {
        let mut runner = TestRunner::deterministic();
        let strategy = histories(b"");
        (0..SAMPLES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
    }

    fn share(histories: &[History], holds: impl Fn(&History) -> bool) -> usize {
        histories.iter().filter(|history| holds(history)).count() * 100 / histories.len()
    }

    #[test]
    fn depth_counts_keys_that_are_open_around_a_row() {
        let k = Version::put("k", 9, "").raw_key();
        let deep = [&k[..], &(!5u64).to_be_bytes()].concat();
        let flat = [Version::put("k", 9, ""), Version::put("k", 1, ""), Version::put("l", 1, "")];
        assert_eq!(interleaving_depth(&flat), 0);
        let mut nested = flat.to_vec();
        nested.push(Version::put(k.clone(), 9, ""));
        assert_eq!(interleaving_depth(&nested), 1);
        nested.extend([Version::put(k, 1, ""), Version::put(deep, 3, "")]);
        assert_eq!(interleaving_depth(&nested), 2);
    }

    #[test]
    fn a_good_share_of_histories_interleaves_also_deeply() {
        let histories = samples();
        let interleaved = share(&histories, |history| interleaving_depth(&history.versions) >= 1);
        let deep = share(&histories, |history| interleaving_depth(&history.versions) >= 2);
        assert!(interleaved >= 45 && deep >= 12, "{interleaved} % interleave, {deep} % deeply");
    }

    #[test]
    fn every_fate_is_common() {
        let histories = samples();
        for fate in [Fate::Visible, Fate::Superseded, Fate::Tombstone, Fate::Expired, Fate::TooNew] {
            let common = share(&histories, |history| {
                judge(&history.versions, history.read_ts, history.last_commit_ts).count(fate) > 0
            });
            assert!(common >= 15, "{fate:?} in {common} %");
        }
    }

    #[test]
    fn small_and_realistic_clocks_both_occur() {
        let small = share(&samples(), |history| history.last_commit_ts < 1 << 32);
        assert!((30..=70).contains(&small), "{small} %");
    }

    proptest! {
        #[test]
        fn a_history_has_each_key_and_timestamp_once_and_keeps_its_prefix(history in histories(b"!p|")) {
            let pairs: BTreeSet<_> = history.versions.iter().map(|v| (&v.user_key, v.commit_ts)).collect();
            prop_assert_eq!(pairs.len(), history.versions.len());
            prop_assert!(history.versions.iter().all(|v| v.user_key.starts_with(b"!p|")));
        }
    }
}
