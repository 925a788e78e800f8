//! DICOM files. PS3.10 7.

use pacslab_model::{Tag, Uid, Vr, tags, uids};

use crate::dataset::{Dataset, Element, Value};
use crate::encode::encode;
use crate::parse::{parse, parse_until};
use crate::syntax::TransferSyntax;
use crate::wire::ParseError;

/// The file meta information that tells what follows. PS3.10 7.1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileMeta {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: TransferSyntax,
    /// (0002,0016): who the object came from.
    pub source_aet: Option<String>,
}

const PREAMBLE: usize = 128;
const MAGIC: &[u8; 4] = b"DICM";

impl FileMeta {
    /// Preamble, `DICM` and group 0002.
    pub fn encode(&self) -> Vec<u8> {
        let ui = |set: &mut Dataset, tag: Tag, uid: &str| set.put_str(tag, Vr::UI, plain(uid));
        let mut group = Dataset::new();
        group.put_bytes(tags::FILE_META_VERSION, Vr::OB, vec![0, 1]);
        ui(&mut group, tags::MEDIA_STORAGE_SOP_CLASS_UID, self.sop_class.as_str());
        ui(&mut group, tags::MEDIA_STORAGE_SOP_INSTANCE_UID, self.sop_instance.as_str());
        ui(&mut group, tags::TRANSFER_SYNTAX_UID, self.transfer_syntax.uid());
        ui(&mut group, tags::IMPLEMENTATION_CLASS_UID, uids::IMPLEMENTATION_CLASS);
        group.put_str(tags::IMPLEMENTATION_VERSION_NAME, Vr::SH, uids::IMPLEMENTATION_VERSION);
        if let Some(source) = &self.source_aet {
            group.put_str(tags::SOURCE_APPLICATION_ENTITY_TITLE, Vr::AE, plain(source));
        }
        let body = encode(&group, &TransferSyntax::ExplicitLe);
        let length = Dataset::from_iter([Element {
            tag: tags::FILE_META_GROUP_LENGTH,
            vr: Vr::UL,
            value: Value::Bytes((body.len() as u32).to_le_bytes().to_vec()),
        }]);
        let mut bytes = vec![0; PREAMBLE];
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&encode(&length, &TransferSyntax::ExplicitLe));
        bytes.extend_from_slice(&body);
        bytes
    }
}

/// Reads the meta information of a file's bytes; the second value is where the data set starts.
///
/// # Errors
/// [`ParseError::NotDicom`] says what the bytes look like instead.
pub fn read_meta(bytes: &[u8]) -> Result<(FileMeta, usize), ParseError> {
    if bytes.get(PREAMBLE..PREAMBLE + 4) != Some(MAGIC) {
        return Err(ParseError::NotDicom(not_dicom(bytes)));
    }
    let body = &bytes[PREAMBLE + 4..];
    let (group, length) = read_group_2(body)?;
    let required = |tag: Tag, what: &str| match group.str(tag) {
        "" => Err(ParseError::NotDicom(format!("the file meta information has no {what} {tag}"))),
        // it becomes a name of files, rows and messages
        text if text.chars().all(is_plain) => Ok(text.to_owned()),
        text => Err(ParseError::NotDicom(format!(
            "the {what} {tag} of the file meta information is '{}', which is no UID",
            plain(text)
        ))),
    };
    let meta = FileMeta {
        sop_class: Uid::new(required(tags::MEDIA_STORAGE_SOP_CLASS_UID, "SOP class")?),
        sop_instance: Uid::new(required(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, "SOP instance")?),
        transfer_syntax: TransferSyntax::from_uid(&required(
            tags::TRANSFER_SYNTAX_UID,
            "transfer syntax",
        )?),
        source_aet: group
            .text(tags::SOURCE_APPLICATION_ENTITY_TITLE)
            .filter(|t| !t.is_empty())
            .map(plain),
    };
    Ok((meta, PREAMBLE + 4 + length))
}

/// Group 0002 is in the default repertoire: another set cannot be declared there. PS3.10 7.1.
fn plain(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { '?' }).collect()
}

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// Group 0002 is walked rather than trusted to be as long as its group length says.
fn read_group_2(body: &[u8]) -> Result<(Dataset, usize), ParseError> {
    let mut cursor = crate::wire::Cursor::new(body, crate::wire::Encoding::EXPLICIT_LE);
    let mut end = 0;
    while !cursor.at_end() {
        // only group 2 is explicit for sure: look at the group before reading more
        if body[cursor.position()..].first_chunk::<2>() != Some(&[2, 0]) {
            break;
        }
        let header = cursor.header()?;
        cursor.skip(&header, 0)?;
        end = cursor.position();
    }
    let group = parse(&body[..end], &TransferSyntax::ExplicitLe)?;
    Ok((group, end))
}

/// Reads a whole file.
///
/// # Errors
/// As [`read_meta`] and [`parse`].
pub fn read(bytes: &[u8]) -> Result<(FileMeta, Dataset), ParseError> {
    let (meta, start) = read_meta(bytes)?;
    let dataset = parse(&bytes[start..], &meta.transfer_syntax)?;
    Ok((meta, dataset))
}

/// Reads a file without its pixel data.
///
/// # Errors
/// As [`read`].
pub fn read_header(bytes: &[u8]) -> Result<(FileMeta, Dataset), ParseError> {
    let (meta, start) = read_meta(bytes)?;
    let dataset = parse_until(&bytes[start..], &meta.transfer_syntax, tags::PIXEL_DATA)?;
    Ok((meta, dataset))
}

/// The bytes of a file.
pub fn write(meta: &FileMeta, dataset: &Dataset) -> Vec<u8> {
    let mut bytes = meta.encode();
    bytes.extend_from_slice(&encode(dataset, &meta.transfer_syntax));
    bytes
}

/// What people send by mistake, in words.
fn not_dicom(bytes: &[u8]) -> String {
    let looks = match bytes {
        [] => "it is empty",
        [b'P', b'K', 3, 4, ..] => "it is a ZIP archive",
        [0x89, b'P', b'N', b'G', ..] => "it is a PNG image",
        [0xFF, 0xD8, ..] => "it is a JPEG image",
        [b'%', b'P', b'D', b'F', ..] => "it is a PDF document",
        [b'{' | b'[', ..] => "it looks like JSON",
        [b'M', b'S', b'H', b'|', ..] => "it is an HL7 message",
        [b'<', ..] => "it looks like XML or HTML",
        [2 | 8, 0, ..] => "it may be a data set without a Part 10 header",
        _ => "it is something else",
    };
    format!("no DICOM file: the letters DICM are missing at byte 128; {looks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (FileMeta, Dataset) {
        let meta = FileMeta {
            sop_class: Uid::new(uids::CT_IMAGE_STORAGE),
            sop_instance: Uid::new("1.2.3"),
            transfer_syntax: TransferSyntax::ImplicitLe,
            source_aet: Some("PYMOD1".into()),
        };
        (meta, Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "P12345"))
    }

    #[test]
    fn files_come_back_as_they_were() {
        let (meta, dataset) = sample();
        let bytes = write(&meta, &dataset);
        assert_eq!(read(&bytes).unwrap(), (meta, dataset));
    }

    /// A letter beyond ASCII put an element of group 0008 into the file meta information.
    #[test]
    fn meta_information_is_ascii() {
        let (meta, dataset) = sample();
        let odd = FileMeta { source_aet: Some("MÜNCHEN".into()), ..meta.clone() };
        let (read, rest) = read(&write(&odd, &dataset)).unwrap();
        assert_eq!((read.source_aet.as_deref(), rest), (Some("M?NCHEN"), dataset.clone()));
        let odd = FileMeta { sop_instance: Uid::new("1.2\n3"), ..meta };
        assert!(super::read(&write(&odd, &dataset)).is_ok(), "ours can always be read");
        let mut foreign = write(&odd, &dataset);
        let at = foreign.windows(5).position(|w| w == b"1.2?3").unwrap();
        foreign[at + 3] = b'\n';
        let error = super::read(&foreign).unwrap_err().to_string();
        assert!(error.contains("(0002,0003)") && error.contains("'1.2?3'"), "{error}");
    }

    #[test]
    fn junk_is_named() {
        for (bytes, word) in [(&b"MSH|^~\\&|"[..], "HL7"), (b"", "empty"), (b"PK\x03\x04", "ZIP")] {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let (meta, dataset) = sample();
        let bytes = write(&meta, &dataset);
        for cut in 0..bytes.len() - 1 {
            let _ = read(&bytes[..cut]);
        }
        assert!(read(&bytes[..bytes.len() - 1]).is_err());
    }
}
