//! The acceptor's half of association establishment. PS3.7 annex D, PS3.8 7.1.

use std::net::SocketAddr;

use pacslab_model::{Uid, uids};

use crate::pdu::{
    AssociateRj, AssociateRq, ContextOutcome, ContextResult, ExtendedNegotiation, RoleSelection,
};

/// Decides about associations: the door's policy.
pub trait Acceptor: Send + Sync {
    fn decide(&self, request: &AssociateRq, peer: SocketAddr) -> Decision;
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    Accept(Acceptance),
    Reject(AssociateRj),
}

/// What is answered; the rest of an A-ASSOCIATE-AC follows from the request and the server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Acceptance {
    pub contexts: Vec<ContextResult>,
    pub roles: Vec<RoleSelection>,
    pub extended: Vec<ExtendedNegotiation>,
    pub identity_answer: Option<Vec<u8>>,
}

/// What is supported for one abstract syntax.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    pub syntaxes: Syntaxes,
    /// Roles that the requestor may take, when it asks.
    pub requestor: Roles,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roles {
    pub scu: bool,
    pub scp: bool,
}

impl Roles {
    /// Without role selection the requestor is SCU and the acceptor SCP.
    pub const SCU: Self = Self { scu: true, scp: false };
    pub const BOTH: Self = Self { scu: true, scp: true };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syntaxes {
    /// Whatever is proposed first: data that is kept as it comes.
    Any,
    /// The first of these that is proposed: data that is read.
    Preferred(&'static [&'static str]),
}

impl Offer {
    /// Storage: every transfer syntax as it comes.
    pub const STORAGE: Self = Self { syntaxes: Syntaxes::Any, requestor: Roles::BOTH };
    /// Everything else: explicit before implicit VR, because it says more.
    pub const SERVICE: Self = Self {
        syntaxes: Syntaxes::Preferred(&[uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE]),
        requestor: Roles::SCU,
    };

    /// A service whose SCP calls us to tell its results.
    pub const REPORTS: Self = Self { requestor: Roles::BOTH, ..Self::SERVICE };

    fn choose(&self, proposed: &[Uid]) -> Option<Uid> {
        match self.syntaxes {
            Syntaxes::Any => proposed.iter().find(|uid| !uid.is_empty()).cloned(),
            Syntaxes::Preferred(preferred) => preferred
                .iter()
                .find(|uid| proposed.iter().any(|one| one.as_str() == **uid))
                .map(|uid| Uid::from(*uid)),
        }
    }
}

/// Answers every proposed context by a table of offers; `None`: not supported.
pub fn negotiate(request: &AssociateRq, offer: &dyn Fn(&Uid) -> Option<Offer>) -> Acceptance {
    let answer = |context: &crate::pdu::ProposedContext| {
        let (result, transfer_syntax) = match offer(&context.abstract_syntax) {
            None => (ContextOutcome::AbstractSyntaxNotSupported, Uid::default()),
            Some(offer) => match offer.choose(&context.transfer_syntaxes) {
                Some(uid) => (ContextOutcome::Accepted, uid),
                None => (ContextOutcome::TransferSyntaxesNotSupported, Uid::default()),
            },
        };
        ContextResult { id: context.id, result, transfer_syntax }
    };
    let role = |wanted: &RoleSelection| {
        let offer = offer(&wanted.sop_class)?;
        Some(RoleSelection {
            sop_class: wanted.sop_class.clone(),
            scu: wanted.scu && offer.requestor.scu,
            scp: wanted.scp && offer.requestor.scp,
        })
    };
    Acceptance {
        contexts: request.contexts.iter().map(answer).collect(),
        roles: request.user.roles.iter().filter_map(role).collect(),
        ..Acceptance::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Proposal;
    use crate::pdu::{ProposedContext, UserInformation};

    fn request(contexts: Vec<ProposedContext>) -> AssociateRq {
        let proposal = Proposal::from(contexts);
        AssociateRq {
            protocol_version: 1,
            called: "PACS".into(),
            calling: "CT".into(),
            application_context: uids::APPLICATION_CONTEXT.into(),
            contexts: proposal.contexts,
            user: UserInformation {
                roles: vec![RoleSelection {
                    sop_class: uids::VERIFICATION.into(),
                    scu: true,
                    scp: true,
                }],
                ..UserInformation::default()
            },
        }
    }

    #[test]
    fn each_context_is_answered_by_its_offer() {
        let context = |id, class: &str, syntaxes: &[&str]| ProposedContext {
            id,
            abstract_syntax: class.into(),
            transfer_syntaxes: syntaxes.iter().map(|uid| Uid::from(*uid)).collect(),
        };
        let jpeg = "1.2.840.10008.1.2.4.50";
        let rq = request(vec![
            context(1, uids::VERIFICATION, &[uids::IMPLICIT_VR_LE, uids::EXPLICIT_VR_LE]),
            context(3, uids::CT_IMAGE_STORAGE, &[jpeg, uids::EXPLICIT_VR_LE]),
            context(5, "1.2.3", &[uids::IMPLICIT_VR_LE]),
            context(7, uids::VERIFICATION, &[jpeg]),
        ]);
        let answer = negotiate(&rq, &|uid| match uid.as_str() {
            uids::VERIFICATION => Some(Offer::SERVICE),
            uids::CT_IMAGE_STORAGE => Some(Offer::STORAGE),
            _ => None,
        });
        let found: Vec<_> =
            answer.contexts.iter().map(|c| (c.result, c.transfer_syntax.as_str())).collect();
        assert_eq!(
            found,
            [
                (ContextOutcome::Accepted, uids::EXPLICIT_VR_LE),
                (ContextOutcome::Accepted, jpeg),
                (ContextOutcome::AbstractSyntaxNotSupported, ""),
                (ContextOutcome::TransferSyntaxesNotSupported, ""),
            ]
        );
        assert_eq!((answer.roles[0].scu, answer.roles[0].scp), (true, false));
    }
}
