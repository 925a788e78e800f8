//! Presentation contexts: what was agreed on, and what to propose for a set of files.

use std::collections::HashSet;
use std::sync::Arc;

use pacslab_model::{Uid, uids};

use crate::error::{Error, Refusal};
use crate::fsm::Role;
use crate::pdu::{AssociateAc, ContextOutcome, ProposedContext, RoleSelection};

/// A presentation context that both sides accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Context {
    pub id: u8,
    pub abstract_syntax: Uid,
    pub transfer_syntax: Uid,
}

/// The most contexts one association can have: the odd numbers of a byte.
pub const MAX_CONTEXTS: usize = 128;

/// What one association is to be about.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    pub contexts: Vec<ProposedContext>,
    pub roles: Vec<RoleSelection>,
    pub extended: Vec<crate::pdu::ExtendedNegotiation>,
    pub identity: Option<crate::pdu::UserIdentity>,
    /// How many operations we want to invoke, and to perform, at a time: [`crate::window`].
    pub window: Option<(u16, u16)>,
}

impl Proposal {
    /// Asks for several operations of ours at a time.
    #[must_use]
    pub fn windowed(mut self) -> Self {
        self.window = Some((crate::window::MOST, 1));
        self
    }
}

impl Proposal {
    /// One context for a SOP class, with the transfer syntaxes that every application has.
    pub fn of(abstract_syntax: &str) -> Self {
        let syntaxes = [uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE];
        Self::from(vec![ProposedContext {
            id: 1,
            abstract_syntax: abstract_syntax.into(),
            transfer_syntaxes: syntaxes.map(Uid::from).to_vec(),
        }])
    }
}

impl Proposal {
    /// One context for a SOP class whose SCP we are though we open the association.
    pub fn as_scp(abstract_syntax: &str) -> Self {
        let sop_class = abstract_syntax.into();
        let roles = vec![RoleSelection { sop_class, scu: false, scp: true }];
        Self { roles, ..Self::of(abstract_syntax) }
    }
}

impl Proposal {
    /// What a C-GET needs: a context for the request, and the contexts of `storage`, of each of
    /// whose SOP classes we want to be SCP. More than 127 need several associations.
    pub fn to_get(model: &str, storage: &[(Uid, Vec<Uid>)]) -> Self {
        let mut proposal = Self::of(model);
        for (at, (class, syntaxes)) in storage.iter().enumerate() {
            proposal.contexts.push(ProposedContext {
                id: (2 * at + 3) as u8,
                abstract_syntax: class.clone(),
                transfer_syntaxes: syntaxes.clone(),
            });
            if proposal.roles.iter().all(|roles| roles.sop_class != *class) {
                let sop_class = class.clone();
                proposal.roles.push(RoleSelection { sop_class, scu: false, scp: true });
            }
        }
        proposal
    }
}

impl From<Vec<ProposedContext>> for Proposal {
    fn from(contexts: Vec<ProposedContext>) -> Self {
        Self { contexts, ..Self::default() }
    }
}

/// The contexts that a set of files needs: one for each pair of SOP class and transfer syntax,
/// because an acceptor picks one transfer syntax of a context. More than 128 pairs need several
/// associations; pairs stand in the order of their first file.
pub fn choose_contexts<C, T>(files: impl IntoIterator<Item = (C, T)>) -> Vec<Vec<ProposedContext>>
where
    C: AsRef<str>,
    T: AsRef<str>,
{
    let mut seen = HashSet::new();
    let mut pairs = Vec::new();
    for (class, syntax) in files {
        let pair = (Uid::from(class.as_ref()), Uid::from(syntax.as_ref()));
        if seen.insert(pair.clone()) {
            pairs.push(pair);
        }
    }
    let context = |(at, (class, syntax)): (usize, &(Uid, Uid))| ProposedContext {
        id: (2 * at + 1) as u8,
        abstract_syntax: class.clone(),
        transfer_syntaxes: vec![syntax.clone()],
    };
    pairs
        .chunks(MAX_CONTEXTS)
        .map(|chunk| chunk.iter().enumerate().map(context).collect())
        .collect()
}

/// The contexts of an association and the roles on them, seen by its requestor or its acceptor.
#[derive(Debug)]
pub struct Contexts {
    /// Ours in the association.
    role: Role,
    roles: Vec<RoleSelection>,
    accepted: Vec<Arc<Context>>,
    refused: Vec<(Uid, ContextOutcome)>,
    unanswered: Vec<Uid>,
}

impl Contexts {
    pub(crate) fn new(role: Role, proposed: &[ProposedContext], answer: &AssociateAc) -> Self {
        let mut contexts = Self {
            role,
            roles: answer.user.roles.clone(),
            accepted: Vec::new(),
            refused: Vec::new(),
            unanswered: Vec::new(),
        };
        for proposal in proposed {
            let class = proposal.abstract_syntax.clone();
            match answer.contexts.iter().find(|result| result.id == proposal.id) {
                None => contexts.unanswered.push(class),
                Some(result) if result.result == ContextOutcome::Accepted => {
                    // an answer without a transfer syntax is that of the only one proposed
                    let transfer_syntax = match proposal.transfer_syntaxes.as_slice() {
                        [only] if result.transfer_syntax.is_empty() => only.clone(),
                        _ => result.transfer_syntax.clone(),
                    };
                    contexts.accepted.push(Arc::new(Context {
                        id: proposal.id,
                        abstract_syntax: class,
                        transfer_syntax,
                    }));
                }
                Some(result) => contexts.refused.push((class, result.result)),
            }
        }
        contexts
    }

    pub(crate) fn accepted(&self) -> &[Arc<Context>] {
        &self.accepted
    }

    /// What was refused and why, for people: the first few by name. `None` when nothing was.
    pub(crate) fn refused_in_words(&self) -> Option<String> {
        const NAMED: usize = 3;
        let mut named: Vec<String> = Vec::new();
        let mut others = 0;
        let unanswered = self.unanswered.iter().map(|class| (class, "not answered".to_owned()));
        let refused = self.refused.iter().map(|(class, why)| (class, why.to_string()));
        for (class, why) in refused.chain(unanswered) {
            let one = format!("{}: {why}", crate::error::named(class));
            match named.contains(&one) {
                true => {}
                false if named.len() < NAMED => named.push(one),
                false => others += 1,
            }
        }
        if others > 0 {
            named.push(format!("and {others} more"));
        }
        (!named.is_empty()).then(|| named.join("; "))
    }

    pub(crate) fn by_id(&self, id: u8) -> Option<&Arc<Context>> {
        self.accepted.iter().find(|context| context.id == id)
    }

    /// The context for a request of ours with an abstract syntax, and with a transfer syntax if
    /// one is needed.
    ///
    /// # Errors
    /// The context was not accepted, or the peer has not the role of its SCP.
    pub fn request(
        &self,
        abstract_syntax: &str,
        transfer_syntax: Option<&str>,
    ) -> Result<&Arc<Context>, Error> {
        // before the transfer syntax: without the role no other syntax would help
        let agreed = self.accepted.iter().any(|c| c.abstract_syntax.as_str() == abstract_syntax);
        let found = match agreed && !self.we_are_scu(abstract_syntax) {
            true => Err(Refusal::Role),
            false => self.find(abstract_syntax, transfer_syntax),
        };
        found.map_err(|reason| Error::ContextRefused {
            abstract_syntax: abstract_syntax.into(),
            reason,
        })
    }

    /// The context for a notification of ours, as the SCP of an abstract syntax. A peer that says
    /// nothing about roles is believed to take it.
    ///
    /// # Errors
    /// The context was not accepted, or the peer has not the role of its SCU.
    pub fn notify(&self, abstract_syntax: &str) -> Result<&Arc<Context>, Error> {
        let agreed = self.roles.iter().find(|roles| roles.sop_class.as_str() == abstract_syntax);
        let may = agreed.is_none_or(|roles| match self.role {
            Role::Requestor => roles.scp,
            Role::Acceptor => roles.scu,
        });
        let found = self.find(abstract_syntax, None);
        let found = if may || found.is_err() { found } else { Err(Refusal::OurRole) };
        found.map_err(|reason| Error::ContextRefused {
            abstract_syntax: abstract_syntax.into(),
            reason,
        })
    }

    /// PS3.7 D.3.3.4: the requestor is SCU and the acceptor SCP unless both agreed on something
    /// else for a SOP class.
    fn we_are_scu(&self, sop_class: &str) -> bool {
        let agreed = self.roles.iter().find(|roles| roles.sop_class.as_str() == sop_class);
        match (self.role, agreed) {
            (Role::Requestor, agreed) => agreed.is_none_or(|roles| roles.scu),
            (Role::Acceptor, agreed) => agreed.is_some_and(|roles| roles.scp),
        }
    }

    fn find(
        &self,
        abstract_syntax: &str,
        transfer_syntax: Option<&str>,
    ) -> Result<&Arc<Context>, Refusal> {
        let of_class =
            || self.accepted.iter().filter(|c| c.abstract_syntax.as_str() == abstract_syntax);
        let fits =
            |c: &&Arc<Context>| transfer_syntax.is_none_or(|ts| c.transfer_syntax.as_str() == ts);
        if let Some(context) = of_class().find(fits) {
            return Ok(context);
        }
        if let (Some(needed), Some(_)) = (transfer_syntax, of_class().next()) {
            let accepted = of_class().map(|c| c.transfer_syntax.clone()).collect();
            return Err(Refusal::OtherSyntax { needed: needed.into(), accepted });
        }
        if let Some((_, outcome)) =
            self.refused.iter().find(|(uid, _)| uid.as_str() == abstract_syntax)
        {
            return Err(Refusal::Answered(*outcome));
        }
        Err(match self.unanswered.iter().any(|uid| uid.as_str() == abstract_syntax) {
            true => Refusal::Unanswered,
            false => Refusal::NotProposed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acceptor_requests_only_where_the_requestor_is_scp() {
        let proposed = choose_contexts([("1.2", "1.3"), ("1.4", "1.3")]).concat();
        let accepted = |context: &ProposedContext| crate::pdu::ContextResult {
            id: context.id,
            result: ContextOutcome::Accepted,
            transfer_syntax: "1.3".into(),
        };
        let mut answer = AssociateAc {
            protocol_version: 1,
            called: "PACS".into(),
            calling: "WS".into(),
            application_context: uids::APPLICATION_CONTEXT.into(),
            contexts: proposed.iter().map(accepted).collect(),
            user: crate::pdu::UserInformation::default(),
        };
        answer.user.roles = vec![RoleSelection { sop_class: "1.2".into(), scu: false, scp: true }];
        let may =
            |role, class| Contexts::new(role, &proposed, &answer).request(class, None).is_ok();
        assert!(may(Role::Acceptor, "1.2") && !may(Role::Acceptor, "1.4"));
        assert!(!may(Role::Requestor, "1.2") && may(Role::Requestor, "1.4"));
        // a C-GET without roles was told that its transfer syntax was the wrong one
        let missing = Contexts::new(Role::Acceptor, &proposed, &answer);
        let refused = missing.request("1.4", Some("1.9")).unwrap_err().to_string();
        assert!(refused.contains("role"), "{refused}");
    }

    #[test]
    fn pairs_are_proposed_once_and_split_over_associations() {
        let few = choose_contexts([("1.2", "1.3"), ("1.2", "1.4"), ("1.2", "1.3")]);
        assert_eq!(few.len(), 1);
        assert_eq!(few[0].iter().map(|c| c.id).collect::<Vec<_>>(), [1, 3]);
        let many = choose_contexts((0..300).map(|n| (format!("1.2.{n}"), "1.2.840.10008.1.2")));
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [128, 128, 44]);
        assert_eq!(many[1][127].id, 255);
        assert!(choose_contexts(Vec::<(&str, &str)>::new()).is_empty());
    }
}
