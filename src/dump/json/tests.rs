use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn string(text: &str, markup: Markup) -> String {
    value(text.as_bytes(), Layout::Compact, markup)
}

fn value(bytes: &[u8], layout: Layout, markup: Markup) -> String {
    let mut out = Vec::new();
    push_value(bytes, layout, markup, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn score(score: f64) -> String {
    let mut out = Vec::new();
    push_score(score, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Gives its pieces one read at a time, with an interruption before each.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<usize>,
    interrupted: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.sizes.pop().unwrap_or(usize::MAX).min(self.bytes.len()).min(buffer.len());
        let (piece, rest) = self.bytes.split_at(size);
        buffer[..size].copy_from_slice(piece);
        self.bytes = rest;
        Ok(size)
    }
}

fn pieces<'a>(bytes: &'a [u8], sizes: &[usize]) -> Pieces<'a> {
    Pieces { bytes, sizes: sizes.to_vec(), interrupted: false }
}

fn streamed(bytes: &[u8], sizes: &[usize], layout: Layout, markup: Markup) -> io::Result<String> {
    let utf8 = is_utf8(pieces(bytes, sizes))?;
    let mut out = Vec::new();
    write_value_from(pieces(bytes, sizes), utf8, layout, markup, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn controls_quotes_and_backslashes_are_escaped_and_nothing_else_of_ascii() {
    assert_eq!(
        string("\"\\/\u{8}\u{c}\n\r\t\0\u{b}\u{1f} ~\u{7f}", Markup::Keep),
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u000b\\u001f ~\u{7f}\""
    );
    assert_eq!(string("", Markup::Keep), r#""""#);
}

#[test]
fn markup_is_escaped_only_when_asked_for() {
    assert_eq!(string("<a&b>", Markup::Escape), r#""\u003ca\u0026b\u003e""#);
    assert_eq!(string("<a&b>", Markup::Keep), r#""<a&b>""#);
}

#[test]
fn line_and_paragraph_separators_are_always_escaped_and_their_neighbours_never() {
    for markup in [Markup::Escape, Markup::Keep] {
        assert_eq!(string("a\u{2028}\u{2029}b", markup), r#""a\u2028\u2029b""#);
        assert_eq!(
            string("\u{2027}\u{202a}\u{2128}é\u{80}\u{10ffff}", markup),
            "\"\u{2027}\u{202a}\u{2128}é\u{80}\u{10ffff}\""
        );
    }
}

#[test]
fn bytes_that_are_not_utf8_become_base64url_without_padding() {
    assert_eq!(value(b"\xfb\xff\xfe\0", Layout::Compact, Markup::Escape), r#"{"base64":"-__-AA"}"#);
    assert_eq!(value(b"\xff", Layout::Indented(0), Markup::Escape), "{\n  \"base64\": \"_w\"\n}");
    assert_eq!(value(b"\xff", Layout::Indented(3), Markup::Escape), "{\n        \"base64\": \"_w\"\n      }");
}

#[test]
fn overlong_forms_surrogates_and_cut_characters_are_not_utf8() {
    for bytes in [&b"\xc0\x80"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xe2\x80", b"\x80"] {
        assert!(value(bytes, Layout::Compact, Markup::Keep).starts_with('{'), "{bytes:?}");
        assert!(is_utf8(bytes).is_ok_and(|utf8| !utf8), "{bytes:?}");
    }
}

#[test]
fn scores_are_printed_as_ecmascript_does() {
    for (number, text) in [
        (100.0, "100"),
        (1.5, "1.5"),
        (-2.0, "-2"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (123_456_789_012_345_680_000.0, "123456789012345680000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (-9_007_199_254_740_991.0, "-9007199254740991"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (0.0, "0"),
        (-0.0, "-0"),
        (f64::INFINITY, r#""+inf""#),
        (f64::NEG_INFINITY, r#""-inf""#),
        (f64::NAN, r#""nan""#),
        (-f64::NAN, r#""nan""#),
    ] {
        assert_eq!(score(number), text);
    }
}

#[test]
fn a_stream_announced_as_text_that_is_not_is_an_error() {
    for bytes in [&b"ab\xff"[..], b"ab\xe2\x80"] {
        let written = write_value_from(bytes, true, Layout::Compact, Markup::Keep, &mut Vec::new());
        assert!(written.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData));
    }
}

#[test]
fn a_stream_far_beyond_one_chunk_gives_the_bytes_of_the_form_in_memory() -> io::Result<()> {
    // Three-byte characters drift against the chunks, so every way of cutting one occurs.
    let text = "\u{2028}<ё€𝄞".repeat(CHUNK_BYTES / 4);
    let mut binary = text.clone().into_bytes();
    binary.push(0xFF);
    for bytes in [text.as_bytes(), &binary] {
        let layout = Layout::Indented(2);
        assert!(streamed(bytes, &[], layout, Markup::Escape)? == value(bytes, layout, Markup::Escape));
    }
    Ok(())
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(vec![
        '<', '>', '&', '"', '\\', '\u{2028}', '\u{2029}', '\u{2027}', '\n', '\u{1}', 'é', '𝄞',
    ]);
    let text = prop::collection::vec(prop_oneof![special, any::<char>()], 0..40)
        .prop_map(|chars| chars.into_iter().collect::<String>().into_bytes());
    let cut = (text.clone(), 0..200_usize).prop_map(|(mut bytes, length)| {
        bytes.truncate(length);
        bytes
    });
    prop_oneof![text, cut, prop::collection::vec(any::<u8>(), 0..60)]
}

fn any_layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Compact), (0..5_usize).prop_map(Layout::Indented)]
}

fn any_markup() -> impl Strategy<Value = Markup> {
    prop_oneof![Just(Markup::Escape), Just(Markup::Keep)]
}

fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        "[a-zé\"\n\\\\]{0,5}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn the_strings_of_a_document_are_escaped_wherever_they_stand() {
    let document = json!({ "<a>": ["&\u{2028}", {}, []] });
    let mut out = Vec::new();
    push_document(&document, Layout::Indented(0), Markup::Escape, &mut out).unwrap();
    let expected = "{\n  \"\\u003ca\\u003e\": [\n    \"\\u0026\\u2028\",\n    {},\n    []\n  ]\n}";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let mut out = Vec::new();
    push_document(&document, Layout::Compact, Markup::Keep, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"<a>":["&\u2028",{},[]]}"#);
}

proptest! {
    #[test]
    fn a_document_without_special_characters_is_laid_out_as_usual(document in any_document()) {
        let mut out = Vec::new();
        push_document(&document, Layout::Indented(0), Markup::Escape, &mut out)?;
        prop_assert_eq!(String::from_utf8(out)?, serde_json::to_string_pretty(&document)?);
        let mut out = Vec::new();
        push_document(&document, Layout::Compact, Markup::Escape, &mut out)?;
        prop_assert_eq!(String::from_utf8(out)?, serde_json::to_string(&document)?);
    }

    #[test]
    fn every_value_reads_back_as_itself(bytes in any_bytes(), layout in any_layout(), markup in any_markup()) {
        let parsed: Value = serde_json::from_str(&value(&bytes, layout, markup))?;
        let expected = match str::from_utf8(&bytes) {
            Ok(text) => json!(text),
            Err(_) => json!({ "base64": base64::Engine::encode(&URL_SAFE_NO_PAD, &bytes) }),
        };
        prop_assert_eq!(parsed, expected);
    }

    #[test]
    fn both_forms_agree_for_any_bytes_and_any_chunking(
        bytes in any_bytes(),
        sizes in prop::collection::vec(1..6_usize, 0..80),
        layout in any_layout(),
        markup in any_markup(),
    ) {
        prop_assert_eq!(is_utf8(pieces(&bytes, &sizes))?, str::from_utf8(&bytes).is_ok());
        prop_assert_eq!(streamed(&bytes, &sizes, layout, markup)?, value(&bytes, layout, markup));
    }

    #[test]
    fn whole_scores_are_printed_like_all_others(number in any::<i64>(), shift in 0..64) {
        let number = (number >> shift) as f64;
        let mut buffer = ryu_js::Buffer::new();
        prop_assert_eq!(score(number), buffer.format(number));
    }

    #[test]
    fn every_finite_score_reads_back_as_itself(number in any::<f64>()) {
        prop_assume!(number.is_finite());
        let parsed: f64 = score(number).parse()?;
        prop_assert_eq!(parsed.to_bits(), number.to_bits());
    }
}
