use super::*;

fn path(object: &[u8], offloaded: bool, upload_id: &[u8]) -> String {
    let mut out = Vec::new();
    let upload = Upload { bucket: b"b", generation: 1, object, upload_id };
    upload.push_path(offloaded, [1, 0, 9], &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn vector_28_an_orphan_lies_below_its_object_and_generation() {
    let rest = "_0000000000000001_0000000000000000_0000000000000009.bin";
    assert_eq!(path(b"g/h", false, b"u"), format!("_orphans/g%2Fh/gen-1/u{rest}"));
    assert_eq!(path(b"g/h", true, b"u"), format!("_orphans/g%2Fh/gen-1/ref_u{rest}"));
    assert!(path(b"..", false, b"u").starts_with("_orphans/5ec1f7e700f37c3d0b2981d04855fc34__../gen-1/u_"));
    assert!(path(b"", false, b"u").starts_with("_orphans/e3b0c44298fc1c149afbf4c8996fb924__/gen-1/u_"));
}

#[test]
fn no_upload_id_makes_a_segment_too_long_or_two_the_same() {
    let ids: Vec<Vec<u8>> = vec![
        vec![b'u'; 200],
        vec![b'u'; 201],
        vec![0xFF; 63],
        vec![0xFF; 80],
        vec![0xFF; 300],
        b"a/../b".to_vec(),
    ];
    let mut paths = std::collections::HashSet::new();
    for id in &ids {
        for offloaded in [false, true] {
            let path = path(b"k", offloaded, id);
            assert!(path.split('/').all(|segment| segment.len() <= MAX_SEGMENT_BYTES && segment != ".."));
            assert!(paths.insert(path));
        }
    }
}
