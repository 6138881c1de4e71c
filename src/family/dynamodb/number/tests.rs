use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn order(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    KeyNumber::parse(text)?.push_order(&mut out);
    Some(out)
}

fn canonical(text: &str) -> String {
    KeyNumber::parse(text).unwrap().canonical().into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// V8 of `docs/format/dynamodb.md` section 6: spellings, order, name.
const VECTORS: [(&[&str], &str, &str); 13] = [
    (&["0", "-0", "0.0", "0e5"], "01", "0"),
    (&["1", "1.0", "+1"], "020201010031", "1"),
    (&["129.50"], "020201030031323935", "259/2"),
    (&["0.5", ".5", "5e-1"], "02010035", "1/2"),
    (&["00.00100", "1e-3"], "0200fefd0031", "1/1000"),
    (&["-5"], "00fdfefeffca", "-5"),
    (&["-0.5"], "00feffca", "-1/2"),
    (&["-12.5"], "00fdfefdffcecdca", "-25/2"),
    (&["-1"], "00fdfefeffce", "-1"),
    (&["-1.1"], "00fdfefeffcece", "-11/10"),
    (&["1e2000000"], "0202031e84810031", "1e2000000"),
    (&["1e9223372036854775807"], "0200f77fffffffffffffff0031", "1e9223372036854775807"),
    (&["5.", "5"], "020201010035", "5"),
];

#[test]
fn v8_numbers_have_the_order_and_the_names_of_the_specification() {
    for (spellings, bytes, name) in VECTORS {
        for text in spellings {
            assert_eq!(hex(&order(text).unwrap()), bytes, "{text}");
            assert_eq!(canonical(text), name, "{text}");
        }
    }
    assert_eq!(hex(&order("1e400").unwrap()), "02020201910031");
    assert_eq!(canonical("1e400"), format!("1{}", "0".repeat(400)));
}

#[test]
fn v8_what_is_no_key_number_is_none() {
    for text in [
        "",
        " ",
        "abc",
        "+",
        "-",
        ".",
        "1e",
        "1e+",
        "e3",
        "1.2.3",
        "0x10",
        "1_000",
        "1/2",
        "1 e5",
        "--1",
        "+-1",
        "- 1",
        "1e99999999999999999999",
        "1e1_0",
        "Inf",
        "NaN",
        "1e5e5",
        "١",
    ] {
        assert_eq!(KeyNumber::parse(text), None, "{text}");
    }
    for text in ["1e 5", "1E+5", " 1e5\u{a0}", "\u{3000}1e\u{2003}5", "1e05"] {
        assert_eq!(order(text), order("100000"), "{text}");
    }
}

#[test]
fn a_number_with_a_blank_after_its_e_or_too_many_places_is_named_by_its_text() {
    assert_eq!(canonical(" 1e 5 "), "1e 5");
    assert_eq!(canonical("0e 5"), "0e 5");
    assert_eq!(canonical("1e1000001"), "1e1000001");
    assert_eq!(canonical("-1.0e-999999"), format!("-1/1{}", "0".repeat(999_999)));
    assert_eq!(canonical("-1.0e-1000000"), "-1.0e-1000000");
    assert_eq!(canonical("0e1000001"), "0");
    assert_eq!(canonical("1e-9223372036854775808"), "1e-9223372036854775808");
}

#[test]
fn the_nearest_double_is_that_of_the_value() {
    for (text, expected) in
        [("129.50", 129.5), (" -1e 3", -1000.0), (".5", 0.5), ("5.", 5.0), ("1e400", f64::INFINITY)]
    {
        assert_eq!(KeyNumber::parse(text).unwrap().approximate(), expected, "{text}");
    }
}

#[test]
fn a_fraction_is_reduced_by_what_it_shares_with_the_power_of_ten() {
    for (text, name) in [
        ("0.75", "3/4"),
        ("1024e-3", "128/125"),
        ("1024e-20", "1/97656250000000000"),
        ("0.0048828125", "5/1024"),
        ("3125e-3", "25/8"),
        ("-0.3", "-3/10"),
        ("0.6", "3/5"),
        ("12.0e-1", "6/5"),
    ] {
        assert_eq!(canonical(text), name, "{text}");
    }
}

#[test]
fn a_number_of_many_digits_is_named_exactly() {
    // The hardest ones: all digits are cancelled against the power of ten.
    for (factor, other) in [(2u8, 5u8), (5, 2)] {
        let digits = UBig::from(factor).pow(200_000).to_string();
        assert_eq!(canonical(&format!("{digits}e-200000")), format!("1/{}", UBig::from(other).pow(200_000)));
    }
    assert_eq!(canonical("5e-1000000"), format!("1/2{}", "0".repeat(999_999)));
}

/// A number as sign, digits and power of ten, and a spelling of it.
fn any_number() -> impl Strategy<Value = (bool, u64, i32, String)> {
    let digits = prop_oneof![0..100_u64, any::<u64>(), (0..50_u64).prop_map(|n| n * 1_000_000)];
    (any::<bool>(), digits, -30..30_i32, 0..4_usize, 0..4_usize, -3..4_i32, 0..3_usize).prop_map(
        |(negative, digits, power, before, behind, shift, blanks)| {
            // The point moves by `shift` places, and the exponent makes good for it.
            let plain = digits.to_string();
            let mut text = " ".repeat(blanks);
            text.push_str(if negative { "-" } else { ["", "+"][before % 2] });
            text.push_str(&"0".repeat(before));
            let padded = format!("{plain:0>4}");
            let point = padded.len() - usize::try_from(shift.clamp(0, 3)).unwrap();
            text.push_str(&padded[..point]);
            text.push('.');
            text.push_str(&padded[point..]);
            text.push_str(&"0".repeat(behind));
            text.push_str(&format!("{}{}", ["e", "E"][behind % 2], power + shift.clamp(0, 3)));
            (negative, digits, power, text)
        },
    )
}

/// Numeric order, by numbers of any size.
fn compare(a: (bool, u64, i32), b: (bool, u64, i32)) -> Ordering {
    let whole = |(negative, digits, power): (bool, u64, i32)| {
        let number =
            dashu_int::IBig::from(UBig::from(10u8).pow(usize::try_from(power + 30).unwrap()) * digits);
        if negative { -number } else { number }
    };
    whole(a).cmp(&whole(b))
}

proptest! {
    #[test]
    fn equal_numbers_have_equal_bytes_and_one_name(
        (negative, digits, power, text) in any_number(),
        (_, _, _, other) in any_number(),
    ) {
        let plain = format!("{}{digits}e{power}", if negative { "-" } else { "" });
        prop_assert_eq!(order(&text), order(&plain));
        prop_assert_eq!(canonical(&text), canonical(&plain));
        // And two numbers of one name are equal.
        prop_assert_eq!(order(&text) == order(&other), canonical(&text) == canonical(&other));
    }

    #[test]
    fn the_order_of_bytes_is_that_of_numbers_but_for_the_flaw_of_negative_prefixes(
        (n1, d1, p1, a) in any_number(),
        (n2, d2, p2, b) in any_number(),
    ) {
        let (left, right) = (order(&a).unwrap(), order(&b).unwrap());
        let inverted = |bytes: &[u8]| bytes.iter().map(|byte| !byte).collect::<Vec<_>>();
        let flaw = left.first() == Some(&0) && right.first() == Some(&0)
            && (inverted(&left).starts_with(&inverted(&right)) || inverted(&right).starts_with(&inverted(&left)));
        let numeric = compare((n1, d1, p1), (n2, d2, p2));
        prop_assert_eq!(left.cmp(&right), if flaw { numeric.reverse() } else { numeric });
    }

    #[test]
    fn a_name_is_the_exact_value((negative, digits, power, text) in any_number()) {
        let name = canonical(&text);
        let (numerator, denominator) = name.split_once('/').unwrap_or((&name, "1"));
        let numerator = UBig::from_str(numerator.trim_start_matches('-')).unwrap();
        let denominator = UBig::from_str(denominator).unwrap();
        let scale = |power: i32| UBig::from(10u8).pow(usize::try_from(power.max(0)).unwrap());
        prop_assert_eq!(&numerator * scale(-power), &denominator * scale(power) * digits);
        prop_assert_eq!(name.starts_with('-'), negative && digits != 0);
        use dashu_int::ops::Gcd;
        prop_assert!(digits == 0 || numerator.gcd(denominator) == UBig::ONE);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,12}|[-+0-9.eE \u{2003}]{0,12}") {
        if let Some(number) = KeyNumber::parse(&text) {
            number.push_order(&mut Vec::new());
            if number.canonical().len() < 100 {
                prop_assert!(!number.canonical().is_empty());
            }
        }
    }
}
