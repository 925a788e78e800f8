//! The policy at work: who is calling, what is answered, and who is told about it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use pacslab_archive::Peer;
use pacslab_dimse::message::{self, Field, Request};
use pacslab_dimse::pdu::AssociateRq;
use pacslab_dimse::{Association, Context, Error, answer_only};
use pacslab_model::{AeTitle, Direction, Event, Outcome, uids};

use crate::door::Door;
use crate::policy::{
    Answer, Caller, Operation, Policy, Question, Refusal, Turned, Verdict, admit, decide, listing,
    same_title,
};
use crate::services::SERVICES;

/// Kinds of events.
pub mod kinds {
    /// A title that is not listed opened an association, for the first time.
    pub const NEW: &str = "peer.new";
    /// Something was not allowed: what, by which rule, and what allows it.
    pub const REFUSED: &str = "peer.refused";
}

/// The policy, and what was told already: a stranger is new once, and a sender whose thousand
/// images are refused is one event.
#[derive(Debug, Default)]
pub struct Gate {
    pub policy: Policy,
    /// Who else is of this department, and the address that it calls from beside loopback.
    own: Option<(AeTitle, IpAddr)>,
    strangers: Mutex<BTreeSet<(String, IpAddr)>>,
    refused_stores: Mutex<BTreeSet<SocketAddr>>,
}

/// As many as are remembered; then it begins anew.
const REMEMBERED: usize = 1_000;

impl Gate {
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// What is of this department may do everything from here: nobody has to list it.
    #[must_use]
    pub fn with_own(mut self, title: AeTitle, at: IpAddr) -> Self {
        self.own = Some((title, at));
        self
    }

    fn is_own(&self, calling: &str, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.own.as_ref().is_some_and(|(title, at)| {
            title.as_str() == calling.trim_matches(' ') && (from.is_loopback() || from == *at)
        })
    }
}

/// Whether it was not there before.
fn first<T: Ord>(seen: &Mutex<BTreeSet<T>>, item: T) -> bool {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.len() >= REMEMBERED {
        seen.clear();
    }
    seen.insert(item)
}

impl Door {
    /// Whether an association may be opened; tells who is new.
    pub(crate) fn admit(&self, rq: &AssociateRq, from: SocketAddr) -> Result<(), Box<Turned>> {
        let policy = &self.gate.policy;
        let peers = self.known(&rq.calling);
        let own = self.gate.is_own(&rq.calling, from.ip());
        let caller = |operation| if own { Caller::Allowed } else { caller(&peers, operation) };
        let admitted = admit(policy, &self.aet, &rq.called, &rq.calling, from.ip(), caller);
        match &admitted {
            Err(turned) => self.tell(
                &rq.calling,
                from,
                &turned.explanation,
                &turned.rule,
                &turned.fix,
                turned.answer.to_string(),
            ),
            Ok(()) if peers.is_empty() && !own => self.greet(&rq.calling, from),
            Ok(()) => {}
        }
        admitted
    }

    /// The peers with this title.
    fn known(&self, calling: &str) -> Vec<Peer> {
        let mut peers = self.peers.titled(calling);
        peers.retain(|peer| same_title(&self.gate.policy, peer.aet.as_str(), calling));
        peers
    }

    fn greet(&self, calling: &str, from: SocketAddr) {
        if !first(&self.gate.strangers, (calling.to_ascii_uppercase(), from.ip())) {
            return;
        }
        let may = |operation: &Operation| {
            let question = Question {
                operation: *operation,
                calling,
                from: from.ip(),
                caller: Caller::Stranger,
                destination: None,
            };
            decide(&self.gate.policy, &question) == Verdict::Allow
        };
        let allowed: Vec<&str> = Operation::ALL
            .iter()
            .filter(|operation| is_served(**operation) && may(operation))
            .map(|operation| operation.name())
            .collect();
        let fix = listing(calling, from.ip());
        let message = format!(
            "{calling} at {} is new: not listed in [peers], it may do {}; {fix}",
            from.ip(),
            allowed.join(", ")
        );
        let event = Event::new(self.clock.now(), kinds::NEW, message)
            .peer(format!("{calling}@{from}"), Direction::In)
            .field("calling", calling)
            .field("fix", fix);
        self.events.emit(event);
    }

    /// What is not allowed about a request.
    pub(crate) fn objection(
        &self,
        association: &Association,
        operation: &message::Operation,
    ) -> Option<Box<Refusal>> {
        let info = association.info();
        let destination = match operation {
            message::Operation::Move { destination, .. } => {
                let title = destination.trim_matches(' ');
                Some((title, self.destination(title).is_some()))
            }
            _ => None,
        };
        let asked = Operation::of(operation);
        let question = Question {
            operation: asked,
            calling: &info.calling,
            from: info.peer.ip(),
            caller: match self.gate.is_own(&info.calling, info.peer.ip()) {
                true => Caller::Allowed,
                false => caller(&self.known(&info.calling), asked),
            },
            destination,
        };
        match decide(&self.gate.policy, &question) {
            Verdict::Allow => None,
            Verdict::Refuse(refusal) => Some(refusal),
        }
    }

    /// Where a C-MOVE to this title goes.
    pub(crate) fn destination(&self, title: &str) -> Option<Peer> {
        let found = self.peers.destination(title)?;
        let policy = &self.gate.policy;
        // a name is a name; a title may have to be written as it is listed
        let called_so = found.name == title || same_title(policy, found.aet.as_str(), title);
        called_so.then_some(found)
    }

    /// Says no as the policy has it, and why to those who can change it.
    pub(crate) async fn say_no(
        &self,
        association: &mut Association,
        context: Arc<Context>,
        request: Request,
        refusal: &Refusal,
    ) -> Result<(), Error> {
        let info = association.info().clone();
        let store = matches!(request.operation, message::Operation::Store { .. });
        if !store || first(&self.gate.refused_stores, info.peer) {
            let answer = match refusal.answer {
                Answer::Status(status) => status.to_string(),
                Answer::Abort => "A-ABORT without a response".to_owned(),
            };
            let Refusal { explanation, rule, fix, .. } = refusal;
            self.tell(&info.calling, info.peer, explanation, rule, fix, answer);
        }
        match refusal.reply() {
            Some(reply) => answer_only(association, &context, &request, &reply).await,
            None => Err(Error::Denied(refusal.comment.clone())),
        }
    }

    fn tell(
        &self,
        calling: &str,
        from: SocketAddr,
        explanation: &str,
        rule: &str,
        fix: &str,
        answer: String,
    ) {
        let message = format!("{explanation}; the rule is {rule}; {fix}");
        let event = Event::new(self.clock.now(), kinds::REFUSED, message)
            .outcome(Outcome::Warning)
            .peer(format!("{calling}@{from}"), Direction::In)
            .field("calling", calling)
            .field("answer", answer)
            .field("rule", rule)
            .field("fix", fix);
        self.events.emit(event);
    }
}

/// Whether there is a service for it at all.
fn is_served(operation: Operation) -> bool {
    SERVICES.iter().any(|row| {
        let worklist = row.abstract_syntax.covers(uids::MODALITY_WORKLIST_FIND);
        operation
            == match row.command {
                Field::Echo => Operation::Echo,
                Field::Store => Operation::Store,
                Field::Find if worklist => Operation::Worklist,
                Field::Find => Operation::Find,
                Field::Get => Operation::Get,
                Field::Move => Operation::Move,
                Field::NAction | Field::EventReport => Operation::Commitment,
                Field::NGet | Field::NSet | Field::NCreate | Field::NDelete => Operation::Step,
            }
    })
}

/// One title may stand for several places: what one of them may do is allowed.
fn caller(peers: &[Peer], operation: Operation) -> Caller {
    let may = |peer: &Peer| match operation {
        Operation::Echo => peer.allow.echo,
        Operation::Store => peer.allow.store,
        Operation::Find => peer.allow.find,
        Operation::Worklist => peer.allow.find_worklist,
        Operation::Get => peer.allow.get,
        Operation::Move => peer.allow.move_,
        Operation::Commitment => peer.allow.n_action,
        // there is no switch of its own: who may read the worklist may report on it
        Operation::Step => peer.allow.find_worklist,
    };
    match peers {
        [] => Caller::Stranger,
        _ if peers.iter().any(may) => Caller::Allowed,
        _ => Caller::Denied,
    }
}
