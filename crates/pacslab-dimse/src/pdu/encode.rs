//! PDUs to bytes.

use super::{
    AssociateAc, AssociateRq, CommonExtendedNegotiation, ContextOutcome, Pdu, PduError, Pdv,
    UserInformation, kind,
};

/// Appends a PDU. Only an A-ASSOCIATE can fail, when something does not fit its length field.
pub fn encode(pdu: &Pdu, out: &mut Vec<u8>) -> Result<(), PduError> {
    let start = out.len();
    match pdu {
        Pdu::AssociateRq(rq) => {
            header(out, kind::ASSOCIATE_RQ);
            associate_rq(rq, out)?;
        }
        Pdu::AssociateAc(ac) => {
            header(out, kind::ASSOCIATE_AC);
            associate_ac(ac, out)?;
        }
        Pdu::AssociateRj(rj) => {
            header(out, kind::ASSOCIATE_RJ);
            out.extend([0, rj.result, rj.source, rj.reason]);
        }
        Pdu::Data(pdvs) => {
            header(out, kind::P_DATA);
            pdvs.iter().for_each(|value| pdv(value, out));
        }
        Pdu::ReleaseRq => fixed(out, kind::RELEASE_RQ, [0; 4]),
        Pdu::ReleaseRp => fixed(out, kind::RELEASE_RP, [0; 4]),
        Pdu::Abort(abort) => fixed(out, kind::ABORT, [0, 0, abort.source, abort.reason]),
    }
    let length = (out.len() - start - 6) as u32;
    out[start + 2..start + 6].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The 12 bytes in front of the only fragment of a P-DATA-TF.
pub fn data_header(context: u8, command: bool, last: bool, length: usize) -> [u8; 12] {
    let [a, b, c, d] = (length as u32 + 6).to_be_bytes();
    let [e, f, g, h] = (length as u32 + 2).to_be_bytes();
    let control = u8::from(command) | u8::from(last) << 1;
    [kind::P_DATA, 0, a, b, c, d, e, f, g, h, context, control]
}

fn header(out: &mut Vec<u8>, kind: u8) {
    out.extend([kind, 0, 0, 0, 0, 0]);
}

fn fixed(out: &mut Vec<u8>, kind: u8, body: [u8; 4]) {
    header(out, kind);
    out.extend(body);
}

fn pdv(value: &Pdv, out: &mut Vec<u8>) {
    out.extend((value.data.len() as u32 + 2).to_be_bytes());
    out.extend([value.context, u8::from(value.command) | u8::from(value.last) << 1]);
    out.extend_from_slice(&value.data);
}

fn associate_rq(rq: &AssociateRq, out: &mut Vec<u8>) -> Result<(), PduError> {
    fixed_part(rq.protocol_version, &rq.called, &rq.calling, out);
    text_item(0x10, rq.application_context.as_str(), out)?;
    for context in &rq.contexts {
        item(0x20, "a presentation context", out, |out| {
            out.extend([context.id, 0, 0, 0]);
            text_item(0x30, context.abstract_syntax.as_str(), out)?;
            context.transfer_syntaxes.iter().try_for_each(|ts| text_item(0x40, ts.as_str(), out))
        })?;
    }
    user_information(&rq.user, out)
}

fn associate_ac(ac: &AssociateAc, out: &mut Vec<u8>) -> Result<(), PduError> {
    fixed_part(ac.protocol_version, &ac.called, &ac.calling, out);
    text_item(0x10, ac.application_context.as_str(), out)?;
    for context in &ac.contexts {
        item(0x21, "a presentation context", out, |out| {
            out.extend([context.id, 0, context.result.code(), 0]);
            // a refused context keeps an (empty) item: some requestors insist on it
            match context.result {
                ContextOutcome::Accepted => text_item(0x40, context.transfer_syntax.as_str(), out),
                _ => text_item(0x40, "", out),
            }
        })?;
    }
    user_information(&ac.user, out)
}

fn fixed_part(version: u16, called: &str, calling: &str, out: &mut Vec<u8>) {
    out.extend(version.to_be_bytes());
    out.extend([0, 0]);
    for title in [called, calling] {
        let mut field = [b' '; 16];
        for (to, from) in field.iter_mut().zip(title.bytes()) {
            *to = from;
        }
        out.extend(field);
    }
    out.extend([0; 32]);
}

fn user_information(user: &UserInformation, out: &mut Vec<u8>) -> Result<(), PduError> {
    item(0x50, "the user information", out, |out| {
        item(0x51, "maximum length", out, |out| bytes(&user.max_length.to_be_bytes(), out))?;
        if !user.implementation_class.is_empty() {
            text_item(0x52, user.implementation_class.as_str(), out)?;
        }
        if let Some((invoked, performed)) = user.async_window {
            item(0x53, "asynchronous operations window", out, |out| {
                bytes(&invoked.to_be_bytes(), out)?;
                bytes(&performed.to_be_bytes(), out)
            })?;
        }
        for role in &user.roles {
            item(0x54, "SCP/SCU role selection", out, |out| {
                counted(role.sop_class.as_str().as_bytes(), out)?;
                bytes(&[role.scu.into(), role.scp.into()], out)
            })?;
        }
        if !user.implementation_version.is_empty() {
            text_item(0x55, &user.implementation_version, out)?;
        }
        for extended in &user.extended {
            item(0x56, "SOP class extended negotiation", out, |out| {
                counted(extended.sop_class.as_str().as_bytes(), out)?;
                bytes(&extended.information, out)
            })?;
        }
        for common in &user.common_extended {
            item(0x57, "SOP class common extended negotiation", out, |out| {
                common_extended(common, out)
            })?;
        }
        if let Some(identity) = &user.identity {
            item(0x58, "user identity", out, |out| {
                bytes(&[identity.kind, identity.response_requested.into()], out)?;
                counted(&identity.primary, out)?;
                counted(&identity.secondary, out)
            })?;
        }
        if let Some(answer) = &user.identity_answer {
            item(0x59, "user identity answer", out, |out| counted(answer, out))?;
        }
        for unknown in &user.unknown {
            item(unknown.kind, "a sub-item", out, |out| bytes(&unknown.data, out))?;
        }
        Ok(())
    })
}

fn common_extended(common: &CommonExtendedNegotiation, out: &mut Vec<u8>) -> Result<(), PduError> {
    counted(common.sop_class.as_str().as_bytes(), out)?;
    counted(common.service_class.as_str().as_bytes(), out)?;
    let mut related = Vec::new();
    for uid in &common.related {
        counted(uid.as_str().as_bytes(), &mut related)?;
    }
    counted(&related, out)
}

/// Type, reserved, 16-bit length, and what `body` writes.
fn item(
    kind: u8,
    what: &'static str,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), PduError>,
) -> Result<(), PduError> {
    let start = out.len();
    out.extend([kind, 0, 0, 0]);
    body(out)?;
    let length = fits(out.len() - start - 4, what)?;
    out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn text_item(kind: u8, text: &str, out: &mut Vec<u8>) -> Result<(), PduError> {
    item(kind, "a name", out, |out| bytes(text.as_bytes(), out))
}

fn counted(value: &[u8], out: &mut Vec<u8>) -> Result<(), PduError> {
    out.extend(fits(value.len(), "a field")?.to_be_bytes());
    bytes(value, out)
}

fn bytes(value: &[u8], out: &mut Vec<u8>) -> Result<(), PduError> {
    out.extend_from_slice(value);
    Ok(())
}

fn fits(length: usize, what: &'static str) -> Result<u16, PduError> {
    u16::try_from(length).map_err(|_| PduError::DoesNotFit { what, length })
}
