//! JPEG-LS, grayscale. ISO/IEC 14495-1, PS3.5 8.2.3.

use std::borrow::Cow;

use super::cells;
use crate::describe::Description;

pub(super) fn decode(bytes: &[u8], description: &Description) -> Result<Vec<u8>, String> {
    if description.samples != 1 {
        return Err("JPEG-LS in colour cannot be decoded here".to_owned());
    }
    let (columns, rows) = (description.columns, description.rows);
    let bytes = without_fill(bytes);
    let (values, columns, rows) =
        jpegls::decode(&bytes, columns, rows).map_err(|error| error.to_string())?;
    cells::check_size((columns, rows, 1), description)?;
    cells::fill(values.into_iter(), description)
}

/// Encoders (DCMTK's for one) make the length even with a fill byte before the last marker, which
/// ISO/IEC 10918-1 B.1.1.2 allows everywhere; the decoder does not expect it after a scan.
fn without_fill(bytes: &[u8]) -> Cow<'_, [u8]> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let filled = bytes[..end].strip_suffix(&[0xFF, 0xD9]).filter(|rest| rest.ends_with(&[0xFF]));
    let Some(mut scan) = filled else { return bytes.into() };
    while let Some(shorter) = scan.strip_suffix(&[0xFF]) {
        scan = shorter;
    }
    [scan, &[0xFF, 0xD9]].concat().into()
}
