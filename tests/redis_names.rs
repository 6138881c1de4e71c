//! Keys whose file names cannot be turned back: fallback names, and the KEYMAP that explains them
//! (`docs/format/dump.md` section 1).

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ekvsnap_testkit::redis_rows::{
    Counted, count_meta, count_meta_key, list_item_key, string_key, string_value,
};
use sha2::{Digest, Sha256};
use support::{NOW_MS, dump, expected};

/// The fallback name of a key whose first 64 bytes stand for themselves.
fn fallback(key: &[u8]) -> String {
    let digest: String = Sha256::digest(key).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}__{}", key[..key.len().min(64)].escape_ascii())
}

fn keymap_line(key: &[u8]) -> String {
    let original = URL_SAFE_NO_PAD.encode(key);
    let encoded = fallback(key);
    format!("{{\"encoded\":\"{encoded}\",\"original\":\"{original}\",\"kind\":\"sha-fallback\"}}\n")
}

#[test]
fn a_long_key_gets_a_fallback_name_in_every_folder_and_a_line_in_the_keymap() {
    let long = |letter: u8| vec![letter; 241];
    let expiry = NOW_MS + 5;
    let rows = [
        (string_key(&long(b'b')), string_value(b"v", Some(expiry))),
        (count_meta_key(Counted::Hash, &long(b'a')), count_meta(0, None)),
        (list_item_key(&long(b'c'), 0), b"i".to_vec()),
        (string_key(b"b64.x"), b"looks like a binary name".to_vec()),
        (string_key(&long(b'd')[1..]), b"as long as a name may be".to_vec()),
    ];
    let dump = dump(&rows);
    let name = |letter| fallback(&long(letter));
    let keymap =
        [keymap_line(&long(b'a')), keymap_line(b"b64.x"), keymap_line(&long(b'b')), keymap_line(&long(b'c'))];
    dump.assert_files(&[
        ("KEYMAP.jsonl", keymap.concat()),
        (&format!("strings/{}.bin", name(b'b')), "v".into()),
        (&format!("strings/{}.bin", fallback(b"b64.x")), "looks like a binary name".into()),
        (&format!("strings/{}.bin", "d".repeat(240)), "as long as a name may be".into()),
        ("strings_ttl.jsonl", format!("{{\"key\":\"{}\",\"expire_at_ms\":{expiry}}}\n", name(b'b'))),
        (&format!("hashes/{}.json", name(b'a')), expected::hash::<&str, &str>(&[], None)),
        (&format!("lists/{}.json", name(b'c')), expected::list(&["i"], None)),
    ]);
    dump.assert_warnings(&[("redis_list_items_without_meta", 1)]);
}
