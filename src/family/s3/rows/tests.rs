use super::*;
use ekvsnap_testkit::s3_rows as kit;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Bucket, generation, object, upload id.
type Owned = (Vec<u8>, u64, Vec<u8>, Vec<u8>);

fn owned(upload: &Upload<'_>) -> Owned {
    let Object { bucket, generation, object } = upload.object;
    (bucket.decode().into(), generation, object.decode().into(), upload.upload_id.decode().into())
}

fn head(key: &str) -> (Vec<u8>, u64, Vec<u8>) {
    let key = hex(key);
    let Ok(Record::Head(head)) = decode(&key) else { panic!("not a head") };
    (head.bucket.decode().into(), head.generation, head.object.decode().into())
}

/// The vectors of `docs/format/s3.md` section 6, by their numbers.
#[test]
fn vectors_1_to_4_and_11_are_buckets_manifests_and_uploads() {
    let key = hex("2173337c6275636b65747c6d6574617c70686f746f730001");
    let Ok(Record::BucketMeta { bucket }) = decode(&key) else { panic!("not a bucket") };
    assert_eq!(*bucket.decode(), *b"photos");
    assert_eq!(
        head("2173337c6f626a7c686561647c70686f746f7300010000000000000007612f622e7478740001"),
        (b"photos".to_vec(), 7, b"a/b.txt".to_vec())
    );
    assert_eq!(
        head("2173337c6f626a7c686561647c62000100000000000000017800ff790001"),
        (b"b".to_vec(), 1, b"x\0y".to_vec())
    );
    assert_eq!(head("2173337c6f626a7c686561647c62000100000000000000010001"), (b"b".to_vec(), 1, Vec::new()));

    let key = hex("2173337c75706c6f61647c6d6574617c62000100000000000000016f000175390001");
    let Ok(Record::UploadMeta(upload)) = decode(&key) else { panic!("not an upload") };
    assert_eq!(owned(&upload), (b"b".to_vec(), 1, b"o".to_vec(), b"u9".to_vec()));
    assert_eq!(upload_key((b"b", 1, b"o"), b"u9", None), key);
    let key = hex(
        "2173337c75706c6f61647c706172747c70686f746f7300010000000000000007612f622e7478740001753100010000000000000005",
    );
    let Ok(Record::UploadPart { upload, part: 5 }) = decode(&key) else { panic!("not part 5 of an upload") };
    assert_eq!(owned(&upload), (b"photos".to_vec(), 7, b"a/b.txt".to_vec(), b"u1".to_vec()));
    assert_eq!(upload_key((b"photos", 7, b"a/b.txt"), b"u1", Some(5)), key);
    let generation = hex("2173337c6275636b65747c67656e7c70686f746f730001");
    assert_eq!(decode(&generation), Ok(Record::Bookkeeping));
}

#[test]
fn vectors_5_6_and_8_are_chunks_with_and_without_version() {
    let photos = "2173337c626c6f627c70686f746f7300010000000000000007612f622e74787400017531000100000000000000";
    for (tail, numbers) in
        [("010000000000000000", (1, 0, 0)), ("0200000000000000030000000000000009", (2, 3, 9))]
    {
        let key = hex(&format!("{photos}{tail}"));
        let Ok(Record::Chunk(chunk)) = decode(&key) else { panic!("not a chunk") };
        assert_eq!((chunk.part, chunk.chunk, chunk.version), numbers);
        assert_eq!(owned(&chunk.upload), (b"photos".to_vec(), 7, b"a/b.txt".to_vec(), b"u1".to_vec()));
    }
    let key = hex(
        "2173337c6368756e6b7265667c62000100000000000000016f000175000100000000000000010000000000000000000000000000005b",
    );
    let Ok(Record::ChunkRef(chunk)) = decode(&key) else { panic!("not a reference") };
    assert_eq!((chunk.part, chunk.chunk, chunk.version), (1, 0, 91));
}

#[test]
fn vector_7_is_malformed_and_so_is_every_key_that_is_not_used_up() {
    let four_trailing =
        hex("2173337c626c6f627c62000100000000000000016f00017500010000000000000002000000000000000300000000");
    assert_eq!(decode(&four_trailing), Err(Malformed("an S3 chunk")));
    assert_eq!(decode(&hex("2173337c6f626a7c686561647c620002")), Err(Malformed("an S3 object manifest")));
    let upload = kit::Upload { bucket: b"b", generation: 1, object: b"o", id: b"u" };
    for key in [
        kit::bucket_key(b"b"),
        upload.head_key(),
        upload.chunk_key(1, 2, 3),
        upload.chunk_ref_key(1, 2, 3),
        upload.meta_key(),
        upload.part_key(4),
        kit::chunkblob_key(&[7; 32]),
    ] {
        assert!(decode(&key).is_ok_and(|record| record != Record::Unknown));
        assert!(decode(&[&key[..], b"x"].concat()).is_err());
        assert!(decode(&key[..key.len() - 1]).is_err());
    }
}

#[test]
fn a_chunk_of_version_0_has_one_key_only() {
    let key = kit::Upload { bucket: b"b", generation: 1, object: b"o", id: b"u" }.chunk_key(1, 2, 0);
    assert!(decode(&key).is_ok());
    assert_eq!(decode(&[&key[..], &[0; 8]].concat()), Err(Malformed("an S3 chunk")));
}

#[test]
fn a_digest_is_64_lower_case_digits() {
    let key = kit::chunkblob_key(&[0xab; 32]);
    assert_eq!(decode(&key), Ok(Record::ChunkBlob { digest: [0xab; 32] }));
    assert!(decode(&key.to_ascii_uppercase()).is_ok_and(|record| record == Record::Unknown));
    let upper = [b"!s3|chunkblob|".as_slice(), &b"AB".repeat(32)].concat();
    assert_eq!(decode(&upper), Err(Malformed("an S3 chunkblob")));
}

#[test]
fn counters_routes_and_garbage_notes_are_bookkeeping_whatever_they_look_like() {
    for prefix in BOOKKEEPING {
        assert_eq!(decode(&[prefix, b"\0\x02"].concat()), Ok(Record::Bookkeeping));
    }
    assert_eq!(decode(b"!s3|new|x"), Ok(Record::Unknown));
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xFF), any::<u8>()], 0..12)
}

proptest! {
    #[test]
    fn every_key_leads_back_to_what_it_was_made_of(
        bucket in bytes(), generation in any::<u64>(), object in bytes(), id in bytes(), numbers in any::<[u64; 3]>(),
    ) {
        let upload = kit::Upload { bucket: &bucket, generation, object: &object, id: &id };
        let [part, chunk, version] = numbers;
        let key = upload.chunk_key(part, chunk, version);
        let Ok(Record::Chunk(found)) = decode(&key) else { panic!("not a chunk") };
        prop_assert_eq!((found.part, found.chunk, found.version), (part, chunk, version));
        prop_assert_eq!(owned(&found.upload), (bucket.clone(), generation, object.clone(), id.clone()));
        prop_assert_eq!(upload_key((&bucket, generation, &object), &id, Some(part)), upload.part_key(part));
        prop_assert_eq!(head_key(&bucket, generation, &object), upload.head_key());
    }

    #[test]
    fn the_order_of_keys_is_that_of_objects(a in bytes(), b in bytes()) {
        let key = |object| head_key(b"b", 1, object);
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }

    #[test]
    fn no_bytes_make_it_panic(prefix in 0..8usize, rest in prop::collection::vec(any::<u8>(), 0..80)) {
        let prefixes: [&[u8]; 8] =
            [CHUNK, HEAD, CHUNK_REF, CHUNK_BLOB, BUCKET_META, b"!s3|upload|meta|", b"!s3|upload|part|", b""];
        let _ = decode(&[prefixes[prefix], &rest].concat());
    }
}
