use super::*;
use proptest::prelude::*;

const ORM: &str = "MSH|^~\\&|RIS|A|PACS|B|20250115||ORM^O01^ORM_O01|M1|P|2.3.1\r\
                   PID|1||1^^^X&1.2&ISO~2^^^Y||DOE^JANE||19800101|F|||\r\
                   OBX|1|TX|a||first\rOBX|2|TX|b||second\\.br\\line\rZXX|kept\r";

fn parse(bytes: &[u8]) -> Message {
    Message::parse(bytes).unwrap()
}

#[test]
fn every_sample_comes_out_as_it_went_in() {
    let folder = format!("{}/tests/fixtures", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(parse(&bytes).to_bytes(), bytes, "{}", path.display());
        count += 1;
    }
    assert!(count >= 15, "{count} samples");
}

#[test]
fn values_are_found_by_path() {
    let message = parse(ORM.as_bytes());
    for (path, text) in [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "RIS"),
        ("MSH-9.2", "O01"),
        ("PID-3.1", "1"),
        ("PID-3[2].1", "2"),
        ("PID-3[2].4", "Y"),
        ("PID-3.4.2", "1.2"),
        ("PID-3[3].1", ""),
        ("OBX[2]-5", "second\nline"),
        ("OBX[3]-5", ""),
        ("ZXX-1", "kept"),
        ("PV1-2", ""),
        ("nonsense", ""),
    ] {
        assert_eq!(message.text(path), text, "{path}");
    }
    assert_eq!(message.segment("PID").unwrap().len(), 11, "trailing delimiters are kept");
}

#[test]
fn line_ends_of_every_kind_are_read() {
    let wanted = parse(ORM.as_bytes());
    for text in [
        ORM.replace('\r', "\n"),
        ORM.replace('\r', "\r\n"),
        ORM.replace('\r', "\r\r\n\n"),
        format!("\u{feff}{ORM}"),
        format!("\r\n {ORM}"),
        format!("\u{b}{ORM}\u{1c}\r"),
        ORM.trim_end().to_owned(),
    ] {
        assert_eq!(parse(text.as_bytes()), wanted, "{text:?}");
    }
    let mixed = parse(b"MSH|^~\\&|A\rOBX|1|TX|a||one\ntwo\nPV1|1\rPID|1\r");
    assert_eq!(mixed.text("OBX-5"), "one\ntwo");
    assert_eq!(mixed.text("PV1-1"), "1");
}

#[test]
fn nothing_is_lost_after_an_odd_line() {
    let message = parse(b"MSH|^~\\&|A\r\rP|x\rPID|1||7\r");
    assert_eq!(message.text("PID-3"), "7");
    assert!(message.remarks()[0].contains("'P'"), "{:?}", message.remarks());
    assert_eq!(message.to_bytes(), b"MSH|^~\\&|A\rP|x\rPID|1||7\r");
}

#[test]
fn other_delimiters_and_a_fifth_character() {
    let message = parse(b"MSH!@%$*#!RIS!!!!!!ORM@O01\rPID!1!!1@@@X*1.2~%2\r");
    assert_eq!(message.text("MSH-9.2"), "O01");
    assert_eq!(message.text("PID-3.4.2"), "1.2~");
    assert_eq!(message.text("PID-3[2].1"), "2");
    assert_eq!(parse(b"MSH|^~\\&#|RIS\r").text("MSH-2"), "^~\\&#");
    assert_eq!(parse(b"MSH|^~|RIS|\\F\\\r").text("MSH-4"), "\\F\\", "no escape character");
}

#[test]
fn deletes_are_told_from_absence() {
    let message = parse(b"MSH|^~\\&|A\rPID|1||\"\"\r");
    let pid = message.segment("PID").unwrap();
    assert!(pid.field(3).is_delete() && pid.field(3).text().is_empty());
    assert!(!pid.field(4).is_delete());
}

#[test]
fn character_sets_follow_msh_18() {
    let with = |name: &str, bytes: &[u8]| {
        let mut message = format!("MSH|^~\\&|||||||||||||||| {name}\rPID|").into_bytes();
        message.extend(bytes);
        parse(&message)
    };
    assert_eq!(with("8859/1", b"M\xfcller").text("PID-1"), "Müller");
    assert_eq!(with("UNICODE UTF-8", "Müller".as_bytes()).text("PID-1"), "Müller");
    assert_eq!(with("", "Müller".as_bytes()).text("PID-1"), "Müller");
    assert_eq!(with("", b"M\xfcller").text("PID-1"), "Müller");
    assert_eq!(with("~ISO IR87", b"\x1b$B;3ED\x1b(B^A").text("PID-1.1"), "山田");
    // 0x8A7C is one character whose second byte looks like a delimiter
    assert_eq!(with("GB 18030-2000", b"\x8a\x7c|2").text("PID-2"), "2");
    assert!(with("NO SUCH SET", b"x").remarks()[0].contains("NO SUCH SET"));
    assert!(!with("UNICODE UTF-8", b"M\xfcller").remarks().is_empty());
    assert!(with("", b"plain").remarks().is_empty());
    let latin = with("8859/1", b"M\xfcller");
    assert!(latin.to_bytes().windows(3).any(|w| w == b"M\xfcl"), "stays in its set");
}

#[test]
fn text_beyond_the_set_makes_the_message_unicode() {
    let mut message = parse(b"MSH|^~\\&|A||||||||||||||||8859/1\r");
    let mut message_2 = parse(b"MSH|^~\\&|A|||||||||||||||8859/1\r");
    for message in [&mut message, &mut message_2] {
        message.push(Line::new("PID").with(5, "山田"));
    }
    let back = parse(&message_2.to_bytes());
    assert_eq!((back.text("MSH-18"), back.text("PID-5")), ("UNICODE UTF-8".into(), "山田".into()));
}

#[test]
fn what_is_not_hl7_is_named() {
    for (bytes, hint) in [
        (&b""[..], "empty"),
        (b"\r\n", "empty"),
        (b"GET / HTTP/1.1", "GET / HTTP"),
        (b"M\0S\0H\0|\0", "UTF-16"),
        (b"FHS|^~\\&|", "batches"),
        (b"MSH", "delimiters"),
        (b"MSH|", "delimiters"),
        (b"MSH||^~\\&|", "delimiters"),
        (b"MSHA^~\\&A", "delimiters"),
    ] {
        let error = Message::parse(bytes).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn two_messages_in_one_frame_are_cut_apart() {
    let both = format!("{ORM}{ORM}");
    assert_eq!(split(both.as_bytes()), [ORM.as_bytes(), ORM.as_bytes()]);
    assert_eq!(split(ORM.as_bytes()).len(), 1);
    assert_eq!(split(b"").len(), 1);
}

#[test]
fn a_large_observation_is_read() {
    let data = "QUJD".repeat(1 << 18);
    let message = parse(format!("{ORM}OBX|3|ED|x||A^AP^PDF^Base64^{data}\r").as_bytes());
    assert_eq!(message.text("OBX[3]-5.5").len(), 1 << 20);
}

#[test]
fn trees_out_of_all_proportion_are_refused_quickly() {
    for filling in ["A\n", "\n", "|", "\\", "\\X", "ORC|NW\r", "NTE|\r", "\nP"] {
        let text = format!("MSH|^~\\&|A\rOBX|{}", filling.repeat(200_000));
        if let Ok(message) = Message::parse(text.as_bytes()) {
            message.text("OBX-1");
        }
    }
    let many = format!("MSH|^~\\&|A\r{}", "Z\r".repeat(MAX_SEGMENTS));
    assert_eq!(Message::parse(many.as_bytes()), Err(ParseError::TooLarge));
}

proptest! {
    #[test]
    fn what_is_parsed_comes_out_again(
        lines in prop::collection::vec("[A-Z][A-Z0-9]{2}\\|[ -~äß山]{0,60}", 0..8),
    ) {
        let mut text = "MSH|^~\\&|A|||||||||||||||UNICODE UTF-8\r".to_owned();
        lines.iter().for_each(|line| { text.push_str(line); text.push('\r'); });
        let message = parse(text.as_bytes());
        prop_assert_eq!(message.to_bytes(), text.as_bytes());
        prop_assert_eq!(parse(&message.to_bytes()), message);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..40) {
        let _ = Message::parse(&bytes);
        let mut message = ORM.as_bytes()[..cut].to_vec();
        message.extend(&bytes);
        if let Ok(message) = Message::parse(&message) {
            let again = Message::parse(&message.to_bytes());
            prop_assert!(again.is_ok());
            message.segments().for_each(|s| { (0..30).for_each(|n| { s.field(n).component(n).text(); }); });
        }
        split(&message);
    }
}
