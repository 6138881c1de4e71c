//! Taking Redis rows apart: from key and payload to a typed record.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ekvsnap::family::redis::rows::decode;
use ekvsnap::snapshot::Payload;
use ekvsnap_testkit::redis_rows::{self as redis, Counted, Fence};

/// One row of each kind that a node keeps many of.
fn mix() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let uk = b"user:000000012345";
    vec![
        ("string", redis::string_key(uk), redis::string_value(&[b'v'; 100], None)),
        (
            "expiring string",
            redis::string_key(uk),
            redis::string_value(&[b'v'; 100], Some(1_714_400_000_000)),
        ),
        ("ttl", redis::ttl_key(uk), redis::ttl_value(1_714_400_000_000)),
        ("fence", redis::fence_key(Fence::ZSet, uk), vec![1]),
        ("hash field", redis::element_key(Counted::Hash, uk, b"field:0001"), vec![b'v'; 40]),
        ("set member", redis::element_key(Counted::Set, uk, b"player:000000000001"), Vec::new()),
        ("zset member", redis::element_key(Counted::ZSet, uk, b"player:000000000001"), redis::score(1.5)),
        ("zset score", redis::score_key(uk, 1.5, b"player:000000000001"), Vec::new()),
        ("list item", redis::list_item_key(uk, 7), vec![b'v'; 64]),
        ("stream entry", redis::stream_entry_key(uk, 1, 2), redis::stream_entry(b"1-2", &[b"a", b"b"])),
        ("meta", redis::count_meta_key(Counted::Hash, uk), redis::count_meta(100, None)),
        ("list meta", redis::list_meta_key(uk), redis::list_meta(0, 100, 100, None)),
        ("delta", redis::count_delta_key(Counted::Set, uk, 1, 2), redis::count_delta(-1)),
        ("bare string", uk.to_vec(), vec![b'v'; 100]),
    ]
}

fn rows(criterion: &mut Criterion) {
    let mix = mix();
    let mut group = criterion.benchmark_group("redis row");
    group.throughput(Throughput::Elements(1));
    for (name, key, value) in &mix {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| decode(black_box(key), Payload::Inline(black_box(value))).unwrap());
        });
    }
    group.throughput(Throughput::Elements(mix.len() as u64));
    group.bench_function("mix", |bencher| {
        bencher.iter(|| {
            for (_, key, value) in &mix {
                black_box(decode(black_box(key), Payload::Inline(black_box(value))).unwrap());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
