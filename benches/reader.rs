//! Reading a whole snapshot from memory: parsing, checksums, choosing versions, batches.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ekvsnap::snapshot::{Batch, Reader};
use ekvsnap_testkit::scenarios::{Scenario, generate};

fn read(file: Arc<[u8]>, batch: &mut Batch) -> usize {
    let mut reader = Reader::open(Box::new(Cursor::new(file)), "memory".to_owned(), true).unwrap();
    let mut rows = 0;
    while reader.fill(batch).unwrap() {
        rows += batch.rows().map(black_box).count();
    }
    rows
}

fn reader(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reader");
    group.sample_size(20);
    for (name, scenario, n) in [
        ("churn", Scenario::Churn, 20_000),
        ("zset", Scenario::Zset, 240_000),
        ("strings", Scenario::Strings, 240_000),
        // Payloads that are skipped over, not copied: the checksum alone.
        ("blobs", Scenario::Blobs, 32),
    ] {
        let file: Arc<[u8]> = generate(scenario, n, false, Vec::new()).unwrap().into();
        group.throughput(match scenario {
            Scenario::Blobs => Throughput::Bytes(file.len() as u64),
            _ => Throughput::Elements(scenario.rows(n)),
        });
        let mut batch = Batch::default();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || Arc::clone(&file),
                |file| read(file, &mut batch),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, reader);
criterion_main!(benches);
