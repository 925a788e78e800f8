//! PDUs and command sets.

use bytes::Bytes;
use pacslab_dimse::message;
use pacslab_dimse::pdu::{self, HEADER, Header, Limits, Pdu};

/// What a peer sends, one PDU after the other.
pub(crate) fn pdu(data: &[u8]) {
    let limits = Limits::new(16 << 10);
    let mut rest = data;
    loop {
        let header = Header::decode(rest, &limits);
        for have in 0..HEADER.min(rest.len()) {
            match Header::decode(&rest[..have], &limits) {
                // an error is told as early as it can be, and does not change
                Err(early) => assert_eq!(Err(early), header),
                Ok(early) => assert_eq!(early, None, "read from {have} bytes"),
            }
        }
        let Ok(Some(Header { kind, length })) = header else { return };
        let Some(body) = rest.get(HEADER..HEADER + length as usize) else { return };
        rest = &rest[HEADER + length as usize..];
        one(kind, body);
    }
}

fn one(kind: u8, body: &[u8]) {
    let read = match pdu::decode(kind, Bytes::copy_from_slice(body)) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(error.abort().source, 2, "the provider aborts");
            return;
        }
    };
    assert!(parts(&read) <= body.len() / 4 + 2, "{} parts of {} bytes", parts(&read), body.len());
    let mut written = Vec::new();
    // what is not ISO 646 in a name takes three bytes in UTF-8, and may not fit its field then
    if pdu::encode(&read, &mut written).is_err() {
        assert!(body.len() > 20_000);
        return;
    }
    assert!(written.len() <= 4 * body.len() + 400);
    let again = pdu::decode(written[0], Bytes::copy_from_slice(&written[HEADER..]));
    assert_eq!(again.as_ref(), Ok(&read));
}

/// What is allocated one by one.
fn parts(pdu: &Pdu) -> usize {
    let user = |user: &pdu::UserInformation| {
        let related = user.common_extended.iter().map(|common| common.related.len());
        user.roles.len()
            + user.extended.len()
            + user.common_extended.len()
            + user.unknown.len()
            // a name in these may have no letter, and takes its length of two bytes
            + related.sum::<usize>() / 2
    };
    match pdu {
        Pdu::AssociateRq(rq) => {
            let syntaxes: usize = rq.contexts.iter().map(|c| c.transfer_syntaxes.len()).sum();
            assert!(rq.contexts.len() <= 128);
            rq.contexts.len() + syntaxes + user(&rq.user)
        }
        Pdu::AssociateAc(ac) => {
            assert!(ac.contexts.len() <= 128);
            ac.contexts.len() + user(&ac.user)
        }
        Pdu::Data(pdvs) => pdvs.len(),
        _ => 0,
    }
}

/// One command set.
pub(crate) fn command(data: &[u8]) {
    let read = match message::decode(data) {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut written = Vec::new();
    message::encode(&read, &mut written);
    assert!(written.len() <= 3 * data.len() + 200, "{} of {}", written.len(), data.len());
    match message::decode(&written) {
        Err(message::CommandError::TooLong) => assert!(data.len() > message::MAX_COMMAND / 4),
        again => assert_eq!(again, Ok(read)),
    }
}
