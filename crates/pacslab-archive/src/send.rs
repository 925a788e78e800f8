//! Sending instances to another application entity: the sub-operations of a C-MOVE, and pushes.
//! PS3.4 B (C-STORE SCU), C.4.2.3.1.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use pacslab_dicom::{TransferSyntax, encode, parse};
use pacslab_dimse::message::MoveOriginator;
use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{Association, Remote, Requestor, Status};
use pacslab_model::{Direction, Event, Identifiers, Outcome, Uid, uids};
use pacslab_store::Stored;

use crate::archive::{Archive, syntax_of};
use crate::events;

/// The most presentation contexts of one association.
const CONTEXTS: usize = 128;

/// Instances on their way to one destination, one sub-operation at a time.
#[derive(Debug)]
pub struct Delivery {
    archive: Arc<Archive>,
    requestor: Requestor,
    remote: Remote,
    originator: Option<MoveOriginator>,
    /// Each with what its association proposes.
    batches: VecDeque<Batch>,
    association: Option<Association>,
    tally: Tally,
    begun: Instant,
}

#[derive(Debug)]
struct Batch {
    contexts: Vec<ProposedContext>,
    instances: VecDeque<Stored>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub completed: usize,
    pub warnings: usize,
    pub failed: Vec<Uid>,
    /// Why the first one failed.
    pub first_failure: Option<String>,
}

/// How one sub-operation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivered {
    Completed,
    /// Stored, with a warning status.
    Warning(Uid),
    Failed {
        sop_instance: Uid,
        why: String,
    },
}

impl Delivery {
    pub fn new(
        archive: Arc<Archive>,
        requestor: Requestor,
        remote: Remote,
        instances: Vec<Stored>,
        originator: Option<MoveOriginator>,
    ) -> Self {
        Self {
            archive,
            requestor,
            remote,
            originator,
            batches: batches(instances),
            association: None,
            tally: Tally::default(),
            begun: Instant::now(),
        }
    }

    /// Performs the next sub-operation; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Delivered> {
        loop {
            let batch = self.batches.front_mut()?;
            match batch.instances.pop_front() {
                None => {
                    self.batches.pop_front();
                    self.release().await;
                }
                Some(stored) => {
                    let delivered = self.deliver(&stored).await;
                    self.count(&delivered);
                    return Some(delivered);
                }
            }
        }
    }

    /// Closes the association and tells how it went.
    pub async fn finish(mut self) -> Tally {
        self.release().await;
        let Tally { completed, warnings, failed, first_failure } = &self.tally;
        let mut message = format!("sent {} instances to {}", completed + warnings, self.remote);
        if let Some(why) = first_failure {
            message += &format!("; {} failed, the first because: {why}", failed.len());
        }
        let outcome = match (failed.len(), completed + warnings) {
            (0, _) => Outcome::Ok,
            (_, 0) => Outcome::Failed,
            _ => Outcome::Warning,
        };
        self.archive.emit.emit(
            Event::new(self.archive.clock.now(), events::SENT, message)
                .outcome(outcome)
                .peer(self.remote.to_string(), Direction::Out)
                .took(self.begun.elapsed())
                .ids(Identifiers::default()),
        );
        self.tally
    }

    async fn deliver(&mut self, stored: &Stored) -> Delivered {
        let failed =
            |why: String| Delivered::Failed { sop_instance: stored.sop_instance.clone(), why };
        if self.association.is_none()
            && let Err(why) = self.open().await
        {
            return failed(why);
        }
        let object = match self.archive.object(stored).await {
            Ok(object) => object,
            Err(error) => return failed(error.to_string()),
        };
        let Some(association) = &mut self.association else {
            return failed("the association was lost".into());
        };
        let (syntax, recoded) = match fit(association, stored, object.dataset()) {
            Ok(fitting) => fitting,
            Err(why) => return failed(why),
        };
        let data = recoded.as_deref().unwrap_or(object.dataset());
        let mut request = StoreRequest::new(&stored.sop_class, &stored.sop_instance, &syntax, data);
        request.originator = self.originator.clone();
        match association.store(request).await {
            Ok(reply) if reply.status == Status::SUCCESS => Delivered::Completed,
            Ok(reply) if reply.status.is_done() => Delivered::Warning(stored.sop_instance.clone()),
            Ok(reply) => failed(format!("{} answered {reply}", self.remote)),
            Err(error) => {
                // the next one gets an association of its own
                self.association = None;
                failed(error.to_string())
            }
        }
    }

    async fn open(&mut self) -> Result<(), String> {
        let Some(batch) = self.batches.front_mut() else { return Ok(()) };
        match Association::connect(&self.requestor, &self.remote, batch.contexts.clone()).await {
            Ok(association) => {
                self.association = Some(association);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn release(&mut self) {
        if let Some(association) = self.association.take() {
            // everything was answered; how the peer says goodbye changes nothing
            let _ = association.release().await;
        }
    }

    fn count(&mut self, delivered: &Delivered) {
        match delivered {
            Delivered::Completed => self.tally.completed += 1,
            Delivered::Warning(_) => self.tally.warnings += 1,
            Delivered::Failed { sop_instance, why } => {
                self.tally.failed.push(sop_instance.clone());
                self.tally.first_failure.get_or_insert_with(|| why.clone());
            }
        }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// Groups instances so that the presentation contexts of a group fit one association.
fn batches(instances: Vec<Stored>) -> VecDeque<Batch> {
    let mut pairs: Vec<(Uid, Uid)> = Vec::new();
    let mut batches: Vec<Batch> = Vec::new();
    for stored in instances {
        let pair = (stored.sop_class.clone(), stored.transfer_syntax.clone());
        let at = match pairs.iter().position(|known| *known == pair) {
            Some(at) => at,
            None => {
                if pairs.len().is_multiple_of(CONTEXTS) {
                    batches.push(Batch { contexts: Vec::new(), instances: VecDeque::new() });
                }
                if let Some(batch) = batches.last_mut() {
                    batch.contexts.push(proposal(batch.contexts.len(), &pair));
                }
                pairs.push(pair);
                pairs.len() - 1
            }
        };
        batches[at / CONTEXTS].instances.push_back(stored);
    }
    batches.into()
}

/// The stored syntax first; where it is uncompressed, the two that everybody has as well.
fn proposal(at: usize, (class, syntax): &(Uid, Uid)) -> ProposedContext {
    let mut transfer_syntaxes = vec![syntax.clone()];
    if !TransferSyntax::from_uid(syntax.as_str()).is_encapsulated() {
        for uid in [uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE] {
            if syntax.as_str() != uid {
                transfer_syntaxes.push(Uid::from(uid));
            }
        }
    }
    ProposedContext { id: (2 * at + 1) as u8, abstract_syntax: class.clone(), transfer_syntaxes }
}

/// The syntax to send in, and the data set in it where that is not the stored one.
fn fit(
    association: &Association,
    stored: &Stored,
    dataset: &[u8],
) -> Result<(Uid, Option<Vec<u8>>), String> {
    let (class, own) = (stored.sop_class.as_str(), stored.transfer_syntax.as_str());
    if association.context_for(class, Some(own)).is_ok() {
        return Ok((stored.transfer_syntax.clone(), None));
    }
    let from = syntax_of(stored);
    let other = [uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE]
        .into_iter()
        .find(|uid| association.context_for(class, Some(uid)).is_ok());
    match other {
        Some(uid) if !from.is_encapsulated() => {
            let tree = parse(dataset, &from).map_err(|error| error.to_string())?;
            Ok((Uid::from(uid), Some(encode(&tree, &TransferSyntax::from_uid(uid)))))
        }
        _ => match association.context_for(class, Some(own)) {
            Err(error) => Err(error.to_string()),
            Ok(_) => Err("no presentation context".into()),
        },
    }
}
