//! The header scanner: in pieces as in one, and in accord with the parser.

use pacslab_dicom::scan::{Scan, scan};
use pacslab_dicom::scanner::Scanner;
use pacslab_dicom::{ParseError, parse};
use pacslab_model::{Tag, tags};

use crate::dataset::chosen;
use crate::{pieces, split_first};

/// What an archive wants to know; ascending.
const WANTED: &[Tag] = &[
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::MODALITY,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::STUDY_INSTANCE_UID,
    tags::ROWS,
    tags::COLUMNS,
];

/// A data set, and how it is cut.
pub(crate) fn scanner(data: &[u8]) {
    let (cuts, rest) = split_first(data);
    let Some((bytes, syntax)) = chosen(rest) else { return };
    let whole = scan(&bytes, &syntax, WANTED);
    let mut scanner = Scanner::new(&syntax, WANTED);
    let pushed = pieces(&bytes, cuts).try_for_each(|piece| scanner.push(piece));
    let cut = pushed.and_then(|()| scanner.finish());
    match (&whole, &cut) {
        (Ok(whole), Ok(cut)) => assert_eq!(found(whole), found(cut), "{syntax:?}"),
        (Err(_), Err(_)) => {}
        (whole, cut) => panic!("{syntax:?}: {:?} but in pieces {:?}", told(whole), told(cut)),
    }
    // what can be read can be scanned, and is found as it is read
    let Ok(set) = parse(&bytes, &syntax) else { return };
    let whole = match whole {
        Ok(whole) => whole,
        Err(error) => panic!("{syntax:?}: read, but not scanned: {error}"),
    };
    for tag in WANTED {
        let read = set.text_of(*tag).map(std::borrow::Cow::into_owned);
        assert_eq!(whole.text(*tag), read, "{syntax:?} {tag}");
    }
}

fn found(scan: &Scan<'_>) -> String {
    format!("{:?} {:?}", scan.texts().collect::<Vec<_>>(), scan.pixel_data)
}

fn told(result: &Result<Scan<'_>, ParseError>) -> Result<(), String> {
    result.as_ref().map(|_| ()).map_err(ToString::to_string)
}
