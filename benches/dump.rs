//! What an export makes of keys and values: file names, JSON strings, scores.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ekvsnap::dump::json::{Layout, Markup, push_score, push_value, write_value_from};
use ekvsnap::dump::name::push_file_name;

fn names(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("file name");
    for (name, key) in [
        ("plain", b"profile-0000012345".to_vec()),
        ("escaped", b"profile:0000012345:settings".to_vec()),
        ("binary", (0..=31).collect()),
        ("fallback", b"k".repeat(300)),
    ] {
        let mut out = Vec::new();
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(push_file_name(black_box(&key), &mut out))
            });
        });
    }
    group.finish();
}

fn values(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json value");
    let long = "Ein längerer Text, wie ihn Leute schreiben. ".repeat(1500);
    for (name, value) in [
        ("40 bytes of ASCII", b"value-0000000000000000000000000000012345".to_vec()),
        ("40 bytes of markup", b"<a href=\"x\">y</a> & <b>z</b> & <i>w</i>!".to_vec()),
        ("40 bytes of Cyrillic", "двадцать знаков текст".as_bytes().to_vec()),
        ("40 bytes of binary", [0xFE; 40].to_vec()),
        ("64 KiB of text", long.as_bytes().to_vec()),
    ] {
        let mut out = Vec::new();
        group.throughput(Throughput::Bytes(value.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                push_value(black_box(&value), Layout::Indented(3), Markup::Escape, &mut out);
            });
        });
    }
    let mut out = Vec::new();
    group.throughput(Throughput::Bytes(long.len() as u64));
    group.bench_function("64 KiB of text, streamed", |bencher| {
        bencher.iter(|| {
            out.clear();
            let input = black_box(long.as_bytes());
            write_value_from(input, true, Layout::Indented(3), Markup::Escape, &mut out).unwrap();
        });
    });
    group.finish();
}

fn scores(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("score");
    group.throughput(Throughput::Elements(1));
    for (name, score) in [("whole", 1_714_400_000.0), ("fraction", 563_872.182_734_1), ("tiny", 5e-324)] {
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                push_score(black_box(score), &mut out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, names, values, scores);
criterion_main!(benches);
