//! Opening encrypted values: what a row costs beside reading it, and what a byte of a large value does; beside it what
//! `aes-gcm` takes for the same.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ekvsnap::snapshot::encryption::{DataKey, Envelope, VALUE_HEADER_BYTES};
use ekvsnap_testkit::encryption::{DataKey as Sealing, seal};

/// The timestamp included, as in most rows.
const RAW_KEY: &[u8; 48] = &[b'k'; 48];
const ENVELOPE: Envelope = Envelope { key_id: 7, nonce: [9; 12] };
const HEADER: [u8; VALUE_HEADER_BYTES] = [2, 0, 0, 0, 0, 0, 0, 0, 0];

fn opening(criterion: &mut Criterion) {
    let sealing = Sealing::storage(ENVELOPE.key_id, 1);
    let key = DataKey::new(&sealing.bytes);
    let data = ENVELOPE.associated_data(&HEADER, RAW_KEY);
    let whole = data.parts().concat();

    let mut group = criterion.benchmark_group("open a value");
    let peer = Aes256Gcm::new(&sealing.bytes.into());
    for bytes in [4, 40, 100, 1000, 1 << 20] {
        group.throughput(Throughput::Bytes(bytes as u64));
        let value = seal(&sealing, ENVELOPE.nonce, RAW_KEY, &vec![0; VALUE_HEADER_BYTES + bytes]);
        let (sealed, tag) = value[VALUE_HEADER_BYTES + 18..].split_last_chunk().unwrap();
        let mut opened = sealed.to_vec();
        group.bench_function(format!("{bytes} bytes"), |bencher| {
            bencher.iter(|| {
                opened.copy_from_slice(black_box(sealed));
                assert!(key.open(&ENVELOPE.nonce, &whole, &mut opened, tag));
            });
        });
        group.bench_function(format!("{bytes} bytes, aes-gcm"), |bencher| {
            let (nonce, tag) = (Nonce::from(ENVELOPE.nonce), Tag::from(*tag));
            bencher.iter(|| {
                opened.copy_from_slice(black_box(sealed));
                let value = opened.as_mut_slice().into();
                peer.decrypt_inout_detached(&nonce, &whole, value, &tag).unwrap();
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("a large value");
    let mut bytes = vec![7; 1 << 20];
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut streamed = key.authenticator(&ENVELOPE.nonce, &data, u64::MAX);
    group.bench_function("authenticate", |bencher| {
        bencher.iter(|| streamed.update(black_box(&bytes)));
    });
    let mut stream = key.key_stream(&ENVELOPE.nonce);
    group.bench_function("decrypt", |bencher| {
        bencher.iter(|| stream.apply(0, black_box(&mut bytes)));
    });
    group.finish();
}

criterion_group!(benches, opening);
criterion_main!(benches);
