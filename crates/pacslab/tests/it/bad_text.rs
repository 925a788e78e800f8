//! Hostile text and files through the real doors: names that would like to be paths, letters that
//! would like to be lines of the log, and files that would like to be worklist items.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::mllp::orm;
use crate::support::raw_dimse::{
    ABORT, Association, CT_IMAGE, VERIFICATION, associate_rq, command_set, connect, element,
    padded, read_pdu,
};
use crate::support::{Lab, files, lab::cli, raw_dimse, wait};
use std::io::Write;

/// In kB: what the lab may have taken, whatever lies in its folder.
const MEMORY: u64 = 200_000;

fn accessions(lab: &Lab) -> BTreeSet<String> {
    let entries = lab.get("/pacslab/worklist").ok().json();
    let accession = |entry: &serde_json::Value| entry["accession"].as_str().map(str::to_owned);
    entries.as_array().into_iter().flatten().filter_map(accession).collect()
}

/// Files and folders below, from there.
fn below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.extend(below(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
        }
        found.insert(name);
    }
    found
}

/// Accession numbers become file names. None leaves the folder, none is a device of Windows.
#[test]
fn accession_numbers_that_would_like_to_be_paths() {
    let lab = Lab::start();
    let outside = lab.folder.path();
    let above: BTreeSet<String> = std::fs::read_dir(outside)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let hostile = [
        "../../x-of-nobody",
        "..",
        ".",
        "...",
        "/tmp/pacslab-x",
        r"..\E\..\E\x",
        r"C:\E\x",
        "a:b",
        "CON",
        "nul",
        "Com1",
        "LPT9.txt",
        "aux.wl",
        ".hidden",
        "a b",
        "x*?",
        "<|>".trim_matches('|'),
        "A/../../../y-of-nobody",
        r"a\X00\b",
        r"a\X0A\b",
        "-rf",
        "~x",
        "%2e%2e%2fx",
    ];
    let mut accepted = 0;
    for accession in hostile {
        let answer = lab.order(&orm(accession, "P1", "PYMOD1", "20260105090000"));
        let code = answer.split("MSA|").nth(1).unwrap_or_else(|| panic!("{accession}: {answer}"));
        assert!(["AA|", "AE|", "AR|"].iter().any(|word| code.starts_with(word)), "{answer}");
        accepted += usize::from(code.starts_with("AA|"));
    }
    assert!(accepted >= 12, "only {accepted} were accepted: the rest proves nothing");
    let items = files(&lab.worklists, "wl");
    assert_eq!(items.len(), accepted, "{items:?}");
    for path in &items {
        let name = path.file_name().unwrap().to_str().unwrap();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        assert!(name.chars().all(plain) && !name.starts_with('.'), "{name:?}");
        let stem = name.split('.').next().unwrap().to_ascii_uppercase();
        assert!(!["CON", "NUL", "AUX", "COM1", "LPT9"].contains(&stem.as_str()), "{name}");
    }
    let now: BTreeSet<String> = std::fs::read_dir(outside)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(now, above, "something new beside the folders");
    let everywhere = below(outside);
    let strays: Vec<&String> = everywhere
        .iter()
        .filter(|path| path.ends_with(".wl") && !path.starts_with("worklists/"))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
    for stray in ["x-of-nobody", "x-of-nobody.wl", "y-of-nobody", "y-of-nobody.wl"] {
        let above = outside.parent().unwrap().join(stray);
        assert!(!above.exists(), "{}", above.display());
    }
    // and each is served under the name that was ordered
    assert_eq!(accessions(&lab).len(), accepted);
    lab.assert_alive();
}

/// A file that would like to be an item costs itself and nothing else.
#[test]
fn hostile_files_in_the_worklist_folder() {
    let mut lab = Lab::start();
    lab.place("GOOD1", "P1", "PYMOD1");
    let good = std::fs::read(&files(&lab.worklists, "wl")[0]).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(lab.worklists.join(name), bytes).unwrap();
    put("zeros.wl", &[0; 5000]);
    put("magic.wl", &[[0; 128].as_slice(), b"DICM"].concat());
    put("cut.wl", &good[..good.len() - 7]);
    let mut claims = good.clone();
    claims.extend(b"\xdf\x7f\x10\x00OB\x00\x00\xfe\xff\xff\xff");
    put("claims.wl", &claims);
    let mut nested = good.clone();
    for _ in 0..3000 {
        nested
            .extend(b"\x90\x00\x01\x00SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff");
    }
    put("nested.wl", &nested);
    for at in 132..good.len().min(420) {
        let mut bent = good.clone();
        bent[at] = 0xff;
        put("bent.wl", &bent);
    }
    std::fs::create_dir(lab.worklists.join("folder.wl")).unwrap();
    // larger than any item, and mostly not there
    let huge = std::fs::File::create(lab.worklists.join("huge.wl")).unwrap();
    huge.set_len(8 << 30).unwrap();
    #[cfg(unix)]
    {
        put("line\nFORGED \u{1b}[31m.wl", b"not DICOM");
        std::os::unix::fs::symlink("/dev/zero", lab.worklists.join("endless.wl")).unwrap();
        std::os::unix::fs::symlink("nowhere", lab.worklists.join("dangling.wl")).unwrap();
    }
    lab.place("GOOD2", "P2", "PYMOD1");
    wait::until_true("the good ones beside the bad", || {
        let served = accessions(&lab);
        served.contains("GOOD1") && served.contains("GOOD2")
    });
    for named in ["zeros.wl", "nested.wl", "huge.wl", "claims.wl"] {
        wait::until_true(&format!("{named} to be named"), || lab.log().contains(named));
    }
    assert_lines_are_ours(&lab.log());
    lab.assert_alive();
    if let Some(memory) = lab.memory() {
        assert!(memory < MEMORY, "{memory} kB");
    }
}

/// What peers send is told in the log, in events and by `watch`: as text, never as lines or
/// colours of its own.
#[test]
fn text_from_peers_stays_text() {
    const FORGED: &str = "2026-01-05T08:00:00Z ERROR FORGED";
    let lab = Lab::start();
    let line_feed = r"\.br\";
    let orders = [
        orm("INJ1", "P1", "PYMOD1", "20260105090000")
            .replace("DOE^JANE", &format!("A{line_feed}{FORGED}^\u{1b}[31mB\\X1B\\[0m"))
            .replace("MSH|^~\\&|RIS|", &format!("MSH|^~\\&|R{line_feed}{FORGED}\\X0D0A\\|")),
        orm("INJ2", "P1", &format!("CT\\X0A\\{FORGED}"), "20260105090000"),
        orm("INJ3", "P1", "PYMOD1", &format!("\u{1b}]0;x\u{7}{line_feed}{FORGED}")),
        format!("MSH|^~\\&|\u{1b}[2J|H|||2026||XXX^\u{202e}Y\\.br\\{FORGED}|1{line_feed}|P|2.5\r"),
    ];
    for order in &orders {
        let answer = lab.order(order);
        assert!(answer.contains("MSA|"), "{answer}");
    }
    // titles, UIDs, destinations and values over DICOM
    let mut request = associate_rq(1, &[(1, VERIFICATION, "1.2.840.10008.1.2")]);
    request[26..42].copy_from_slice(b"A\nFORGED \x1b[31m\r\0");
    let mut stream = connect(lab.dicom);
    stream.write_all(&request).unwrap();
    let _ = read_pdu(&mut stream);
    let mut association = Association::request(lab.dicom);
    let instance = "2.25.9\n2026 FORGED \u{1b}[1m";
    let mut data_set = element(0x0008, 0x0016, &padded(CT_IMAGE));
    data_set.extend(element(0x0008, 0x0018, &padded(instance)));
    data_set.extend(element(0x0010, 0x0010, &padded(&format!("A\n{FORGED} \u{1b}[31m"))));
    data_set.extend(element(0x0010, 0x0020, &padded("P\r\n\u{1b}[1m")));
    data_set.extend(element(0x0020, 0x000d, b"2.25.3"));
    data_set.extend(element(0x0020, 0x000e, b"2.25.31"));
    let _ = association.store(3, instance, &data_set);
    let mut association = Association::request(lab.dicom);
    association.send_command(
        1,
        &command_set(&[
            (0x0002, raw_dimse::Field::Uid("1.2\nFORGED")),
            (0x0100, raw_dimse::Field::Us(0x0021)),
            (0x0110, raw_dimse::Field::Us(1)),
            (0x0600, raw_dimse::Field::Uid("X\nFORGED\u{1b}[1m")),
            (0x0800, raw_dimse::Field::Us(0x0101)),
        ]),
    );
    assert!(matches!(association.next_pdu(), Some(ABORT | 4) | None));
    // HTTP: a login, a path, a file
    let _ = lab.post("/instances", b"\x1b[31m\nFORGED");
    let _ = lab.get("/studies/%1b%5b31m%0aFORGED");
    lab.assert_alive();
    wait::until_true("the last order in the log", || lab.log().contains("XXX^"));
    let log = lab.log();
    assert!(log.contains("FORGED"), "it is told, as text:\n{log}");
    assert_lines_are_ours(&log);

    let url = format!("http://127.0.0.1:{}", lab.http);
    let shown = cli(&["watch", "--no-follow", "--last", "1000", "--url", &url]).success().stdout;
    assert!(shown.contains("FORGED"), "{shown}");
    assert!(shown.lines().all(|line| !line.starts_with("2026-01-05T08:00:00Z")), "{shown}");
    assert_no_control(&shown);
    let lines =
        cli(&["watch", "--no-follow", "--last", "1000", "--json", "--url", &url]).success().stdout;
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    assert!(!lines.contains('\u{1b}'), "{lines}");
}

#[track_caller]
fn assert_no_control(text: &str) {
    let bad = |c: &char| {
        c.is_control() && *c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}')
    };
    if let Some(found) = text.chars().find(bad) {
        let line = text.lines().find(|line| line.contains(found)).unwrap_or_default();
        panic!("{found:?} in {line:?}");
    }
}

/// Each line of the log begins with the time at which we wrote it.
#[track_caller]
fn assert_lines_are_ours(log: &str) {
    assert_no_control(log);
    for line in log.lines().filter(|line| !line.is_empty()) {
        assert!(line.starts_with("20") && line.contains("Z "), "not ours: {line:?}\n{log}");
        assert!(!line.starts_with("2026-01-05T08:00:00Z"), "forged: {line:?}");
    }
}
