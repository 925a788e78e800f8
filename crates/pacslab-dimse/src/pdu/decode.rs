//! Bytes to PDUs. Lengths are checked before anything is allocated.

use bytes::Bytes;
use pacslab_model::Uid;

use super::{
    Abort, AssociateAc, AssociateRj, AssociateRq, CommonExtendedNegotiation, ContextOutcome,
    ContextResult, ExtendedNegotiation, Pdu, PduError, Pdv, ProposedContext, RoleSelection,
    SubItem, UserIdentity, UserInformation, kind,
};

/// Bytes of a PDU header: type, reserved, 32-bit length.
pub const HEADER: usize = 6;

/// How long PDUs may be. An A-ASSOCIATE has a limit of its own: 128 contexts with many transfer
/// syntaxes are longer than many a maximum length for P-DATA, which does not apply to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub associate: u32,
    /// What we announced; 0 means that we announced no limit, and is then 4 MiB to us.
    pub data: u32,
}

impl Limits {
    pub const ASSOCIATE: u32 = 1 << 20;

    pub fn new(announced: u32) -> Self {
        let data = if announced == 0 { 4 << 20 } else { announced };
        Self { associate: Self::ASSOCIATE, data }
    }
}

/// The first six bytes of a PDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub kind: u8,
    pub length: u32,
}

impl Header {
    /// `None`: more bytes are needed. An unknown type is told from the first byte on.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Option<Self>, PduError> {
        let Some(&kind) = bytes.first() else { return Ok(None) };
        if !(kind::ASSOCIATE_RQ..=kind::ABORT).contains(&kind) {
            return Err(PduError::UnknownType(kind));
        }
        let Some(&[a, b, c, d]) = bytes.get(2..HEADER).and_then(|b| b.first_chunk()) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        let limit = match kind {
            kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC => limits.associate,
            kind::P_DATA => limits.data,
            _ if length == 4 => 4,
            _ => return Err(PduError::WrongLength { kind, length }),
        };
        if length > limit {
            return Err(PduError::TooLong { kind, length, limit });
        }
        Ok(Some(Self { kind, length }))
    }
}

/// Decodes the body of a PDU (what follows the header). Fragments of a P-DATA share the bytes.
pub fn decode(kind: u8, body: Bytes) -> Result<Pdu, PduError> {
    Ok(match kind {
        kind::ASSOCIATE_RQ => Pdu::AssociateRq(associate_rq(&body)?),
        kind::ASSOCIATE_AC => Pdu::AssociateAc(associate_ac(&body)?),
        kind::ASSOCIATE_RJ => {
            let [_, result, source, reason] = four(kind, &body)?;
            Pdu::AssociateRj(AssociateRj { result, source, reason })
        }
        kind::P_DATA => Pdu::Data(data(&body)?),
        kind::RELEASE_RQ => four(kind, &body).map(|_| Pdu::ReleaseRq)?,
        kind::RELEASE_RP => four(kind, &body).map(|_| Pdu::ReleaseRp)?,
        kind::ABORT => {
            let [_, _, source, reason] = four(kind, &body)?;
            Pdu::Abort(Abort { source, reason })
        }
        other => return Err(PduError::UnknownType(other)),
    })
}

fn four(kind: u8, body: &[u8]) -> Result<[u8; 4], PduError> {
    body.try_into().map_err(|_| PduError::WrongLength { kind, length: body.len() as u32 })
}

/// A fragment may be empty or odd (both are seen); a P-DATA without any is not one.
fn data(body: &Bytes) -> Result<Vec<Pdv>, PduError> {
    let mut pdvs = Vec::with_capacity(1);
    let mut at = 0;
    while at < body.len() {
        let mut reader = Reader(&body[at..]);
        let length = reader.u32("a presentation data value")?;
        if length < 2 {
            return Err(PduError::Invalid {
                what: "length of a presentation data value",
                value: length,
                rule: "it includes the context id and the control header, so at least 2",
            });
        }
        let context = reader.u8("a presentation data value")?;
        let control = reader.u8("a presentation data value")?;
        let start = at + 6;
        let end = start + (length as usize - 2);
        if end > body.len() {
            return Err(PduError::Truncated("a presentation data value"));
        }
        pdvs.push(Pdv {
            context,
            command: control & 1 != 0,
            last: control & 2 != 0,
            data: body.slice(start..end),
        });
        at = end;
    }
    if pdvs.is_empty() {
        return Err(PduError::WrongLength { kind: kind::P_DATA, length: 0 });
    }
    Ok(pdvs)
}

fn associate_rq(body: &[u8]) -> Result<AssociateRq, PduError> {
    let mut r = Reader(body);
    let fixed = fixed_part(&mut r)?;
    let mut contexts: Vec<ProposedContext> = Vec::new();
    let (mut application_context, mut user) = (Uid::default(), None);
    while let Some((kind, item)) = r.item()? {
        match kind {
            0x10 => application_context = uid(item),
            0x20 => {
                let context = proposed_context(item)?;
                check_context_id(context.id, contexts.iter().map(|c| c.id))?;
                contexts.push(context);
            }
            0x50 => user = Some(user_information(item)?),
            _ => {}
        }
    }
    Ok(AssociateRq {
        protocol_version: fixed.version,
        called: fixed.called,
        calling: fixed.calling,
        application_context,
        contexts,
        user: user.unwrap_or_else(empty_user),
    })
}

fn associate_ac(body: &[u8]) -> Result<AssociateAc, PduError> {
    let mut r = Reader(body);
    let fixed = fixed_part(&mut r)?;
    let mut contexts: Vec<ContextResult> = Vec::new();
    let (mut application_context, mut user) = (Uid::default(), None);
    while let Some((kind, item)) = r.item()? {
        match kind {
            0x10 => application_context = uid(item),
            0x21 => {
                let context = context_result(item)?;
                check_context_id(context.id, contexts.iter().map(|c| c.id))?;
                contexts.push(context);
            }
            0x50 => user = Some(user_information(item)?),
            _ => {}
        }
    }
    Ok(AssociateAc {
        protocol_version: fixed.version,
        called: fixed.called,
        calling: fixed.calling,
        application_context,
        contexts,
        user: user.unwrap_or_else(empty_user),
    })
}

struct Fixed {
    version: u16,
    called: String,
    calling: String,
}

fn fixed_part(r: &mut Reader<'_>) -> Result<Fixed, PduError> {
    const WHAT: &str = "the fixed part of an A-ASSOCIATE";
    let version = r.u16(WHAT)?;
    r.take(2, WHAT)?;
    let called = title(r.take(16, WHAT)?);
    let calling = title(r.take(16, WHAT)?);
    r.take(32, WHAT)?;
    Ok(Fixed { version, called, calling })
}

/// Odd and used once, which also bounds their number to 128. PS3.8 9.3.2.2.
fn check_context_id(id: u8, mut earlier: impl Iterator<Item = u8>) -> Result<(), PduError> {
    let what = "presentation context id";
    if id.is_multiple_of(2) {
        return Err(PduError::Invalid { what, value: id.into(), rule: "ids are odd" });
    }
    if earlier.any(|other| other == id) {
        return Err(PduError::Invalid { what, value: id.into(), rule: "it is used twice" });
    }
    Ok(())
}

fn proposed_context(item: &[u8]) -> Result<ProposedContext, PduError> {
    let mut r = Reader(item);
    let id = r.take(4, "a presentation context")?[0];
    let (mut abstract_syntax, mut transfer_syntaxes) = (Uid::default(), Vec::new());
    while let Some((kind, item)) = r.item()? {
        match kind {
            0x30 => abstract_syntax = uid(item),
            0x40 => transfer_syntaxes.push(uid(item)),
            _ => {}
        }
    }
    Ok(ProposedContext { id, abstract_syntax, transfer_syntaxes })
}

/// The transfer syntax of a refused context is not significant, and often not there.
fn context_result(item: &[u8]) -> Result<ContextResult, PduError> {
    let mut r = Reader(item);
    let fixed = r.take(4, "a presentation context")?;
    let (id, result) = (fixed[0], ContextOutcome::from_code(fixed[2]));
    let mut transfer_syntax = Uid::default();
    while let Some((kind, item)) = r.item()? {
        if kind == 0x40 && result == ContextOutcome::Accepted {
            transfer_syntax = uid(item);
        }
    }
    Ok(ContextResult { id, result, transfer_syntax })
}

fn empty_user() -> UserInformation {
    UserInformation {
        max_length: 0,
        implementation_class: Uid::default(),
        implementation_version: String::new(),
        ..UserInformation::default()
    }
}

fn user_information(item: &[u8]) -> Result<UserInformation, PduError> {
    let mut user = empty_user();
    let mut items = Reader(item);
    while let Some((kind, item)) = items.item()? {
        let mut r = Reader(item);
        match kind {
            0x51 => user.max_length = r.u32("maximum length")?,
            0x52 => user.implementation_class = uid(item),
            0x53 => {
                let what = "asynchronous operations window";
                user.async_window = Some((r.u16(what)?, r.u16(what)?));
            }
            0x54 => {
                let what = "SCP/SCU role selection";
                let sop_class = uid(r.counted(what)?);
                let (scu, scp) = (r.u8(what)? != 0, r.u8(what)? != 0);
                user.roles.push(RoleSelection { sop_class, scu, scp });
            }
            0x55 => user.implementation_version = title(item),
            0x56 => {
                let sop_class = uid(r.counted("SOP class extended negotiation")?);
                let information = r.0.to_vec();
                user.extended.push(ExtendedNegotiation { sop_class, information });
            }
            0x57 => {
                // the second byte of the item header, reserved elsewhere, is its version;
                // version 0 is the only one there is
                let what = "SOP class common extended negotiation";
                let sop_class = uid(r.counted(what)?);
                let service_class = uid(r.counted(what)?);
                // version 0 ends here in old requestors
                let mut related = Vec::new();
                if !r.0.is_empty() {
                    let mut list = Reader(r.counted(what)?);
                    while !list.0.is_empty() {
                        related.push(uid(list.counted(what)?));
                    }
                }
                user.common_extended.push(CommonExtendedNegotiation {
                    version: 0,
                    sop_class,
                    service_class,
                    related,
                });
            }
            0x58 => {
                let what = "user identity";
                let (kind, response) = (r.u8(what)?, r.u8(what)?);
                let primary = r.counted(what)?.to_vec();
                let secondary = if r.0.is_empty() { Vec::new() } else { r.counted(what)?.to_vec() };
                let response_requested = response != 0;
                user.identity = Some(UserIdentity { kind, response_requested, primary, secondary });
            }
            0x59 => {
                user.identity_answer = Some(r.counted("user identity answer")?.to_vec());
            }
            _ => user.unknown.push(SubItem { kind, data: item.to_vec() }),
        }
    }
    Ok(user)
}

/// An AE title or a version name: ISO 646, padded with spaces (some pad with NUL).
fn title(bytes: &[u8]) -> String {
    let printable = |b: &u8| if (b' '..=b'~').contains(b) { char::from(*b) } else { '?' };
    let end = bytes.iter().rposition(|b| !matches!(b, 0 | b' ')).map_or(0, |at| at + 1);
    bytes[..end].iter().map(printable).collect::<String>().trim_start().to_owned()
}

fn uid(bytes: &[u8]) -> Uid {
    Uid::new(String::from_utf8_lossy(bytes).trim_start_matches(' '))
}

/// Reads big-endian fields off the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], PduError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PduError::Truncated(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, PduError> {
        Ok(self.take(1, what)?[0])
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, PduError> {
        let b = self.take(2, what)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, PduError> {
        let b = self.take(4, what)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A field behind its 16-bit length.
    fn counted(&mut self, what: &'static str) -> Result<&'a [u8], PduError> {
        let length = self.u16(what)?;
        self.take(length.into(), what)
    }

    /// The next item: type, reserved, 16-bit length, value.
    fn item(&mut self) -> Result<Option<(u8, &'a [u8])>, PduError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let kind = self.u8("an item header")?;
        self.u8("an item header")?;
        Ok(Some((kind, self.counted("an item")?)))
    }
}
