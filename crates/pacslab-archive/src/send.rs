//! Sending instances to another application entity: the sub-operations of a C-MOVE, and pushes.
//! PS3.4 B (C-STORE SCU), C.4.2.3.1.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use pacslab_dicom::TransferSyntax;
use pacslab_dimse::context::MAX_CONTEXTS;
use pacslab_dimse::message::MoveOriginator;
use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::get::Object;
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{Association, Error, Proposal, Remote, Requestor, Status};
use pacslab_model::{Direction, Event, Identifiers, Outcome, Uid, uids};
use pacslab_store::Stored;

use crate::archive::Archive;
use crate::events;
use crate::outgoing::Outgoing;

/// Instances on their way to one destination: one at a time, or as many as the destination takes
/// (asynchronous operations window, PS3.7 D.3.3.3).
#[derive(Debug)]
pub struct Delivery {
    archive: Arc<Archive>,
    requestor: Requestor,
    remote: Remote,
    originator: Option<MoveOriginator>,
    /// Each with what its association proposes.
    batches: VecDeque<Batch>,
    association: Option<Association>,
    /// What the association has no answer to yet, with the ids of the requests.
    sent: VecDeque<(u16, Stored)>,
    /// So many may be under way, whatever the window takes.
    most: usize,
    tally: Tally,
    begun: Instant,
}

#[derive(Debug)]
struct Batch {
    contexts: Vec<ProposedContext>,
    instances: Outgoing,
    /// Nobody answered: why the rest is not tried one by one.
    unreachable: Option<String>,
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
        let batch = |(contexts, instances)| Batch {
            contexts,
            instances: Outgoing::new(archive.clone(), instances),
            unreachable: None,
        };
        Self {
            batches: batches(instances).into_iter().map(batch).collect(),
            archive,
            requestor,
            remote,
            originator,
            association: None,
            sent: VecDeque::new(),
            most: usize::MAX,
            tally: Tally::default(),
            begun: Instant::now(),
        }
    }

    /// Performs the next sub-operation; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Delivered> {
        loop {
            let batch = self.batches.front()?;
            if batch.instances.is_empty() && self.sent.is_empty() {
                self.batches.pop_front();
                self.release().await;
                continue;
            }
            let Some(delivered) = self.deliver().await else { continue };
            self.count(&delivered);
            return Some(delivered);
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

    /// Ends it with something still on its way, which is not waited for.
    pub async fn stop(mut self) -> Tally {
        if let Some(association) = self.association.take() {
            association.abort().await;
        }
        self.finish().await
    }

    /// Sends what the window has room for, and takes the next answer. `None`: the association
    /// was lost, and what was on its way is sent again one by one.
    async fn deliver(&mut self) -> Option<Delivered> {
        if let Err(why) = self.open().await {
            let sop_instance = self.batches.front_mut()?.instances.skip()?.sop_instance;
            return Some(Delivered::Failed { sop_instance, why });
        }
        let association = self.association.as_mut()?;
        let batch = self.batches.front_mut()?;
        let mut lost = None;
        while self.sent.len() < association.window().min(self.most) {
            let contexts = association.agreed().clone();
            let next = {
                let mut next = Box::pin(batch.instances.take(&contexts));
                match self.sent.is_empty() {
                    true => next.await,
                    // while the disk is slow the answers are not
                    false => now(next.as_mut()).await.flatten(),
                }
            };
            let Some((stored, object)) = next else { break };
            let object = match object {
                Ok(object) => object,
                Err(why) => {
                    return Some(Delivered::Failed { sop_instance: stored.sop_instance, why });
                }
            };
            let Object { sop_class, sop_instance, transfer_syntax, mut data } = object;
            let mut request =
                StoreRequest::of(&sop_class, &sop_instance, &transfer_syntax, data.data());
            request.originator = self.originator.clone();
            match association.begin_store(request).await {
                Ok(message_id) => {
                    self.sent.push_back((message_id, stored));
                    batch.instances.prepare();
                }
                Err(error) => {
                    self.sent.push_back((0, stored));
                    lost = Some(error);
                    break;
                }
            }
        }
        let answer = match lost {
            None => association.next_stored().await,
            Some(error) => Err(error),
        };
        match answer {
            Ok((message_id, reply)) => {
                let at = self.sent.iter().position(|(id, _)| *id == message_id)?;
                let (_, Stored { sop_instance, .. }) = self.sent.remove(at)?;
                Some(match reply.status {
                    Status::SUCCESS => Delivered::Completed,
                    status if status.is_done() => Delivered::Warning(sop_instance),
                    _ => {
                        let why = format!("{} answered {reply}", self.remote);
                        Delivered::Failed { sop_instance, why }
                    }
                })
            }
            Err(error) => self.lost(&error),
        }
    }

    /// The association has failed: the next one gets one of its own. But who takes or answers
    /// nothing is not waited for with each of the rest again.
    fn lost(&mut self, error: &Error) -> Option<Delivered> {
        self.association = None;
        let batch = self.batches.front_mut()?;
        let why = error.to_string();
        if matches!(error, Error::Stalled { .. } | Error::Timeout { .. } | Error::TakesTooSlowly(_))
        {
            batch.unreachable = Some(why.clone());
        }
        // one of several did it: each by itself, so that the others arrive
        if self.sent.len() > 1 && batch.unreachable.is_none() {
            self.most = 1;
            batch.instances.again(self.sent.drain(..).map(|(_, stored)| stored));
            return None;
        }
        let (_, first) = self.sent.pop_front()?;
        batch.instances.again(self.sent.drain(..).map(|(_, stored)| stored));
        Some(Delivered::Failed { sop_instance: first.sop_instance, why })
    }

    async fn open(&mut self) -> Result<(), String> {
        let Some(batch) = self.batches.front_mut() else { return Ok(()) };
        if self.association.is_some() {
            return Ok(());
        }
        if let Some(why) = &batch.unreachable {
            return Err(why.clone());
        }
        let proposal = Proposal::from(batch.contexts.clone()).windowed();
        match Association::connect(&self.requestor, &self.remote, proposal).await {
            Ok(association) => {
                self.association = Some(association);
                Ok(())
            }
            Err(error) => {
                let why = unreachable(&self.remote, &error);
                batch.unreachable = Some(why.clone());
                Err(why)
            }
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

/// The output of a future that is ready by now.
async fn now<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Groups instances so that the presentation contexts of a group fit one association.
fn batches(instances: Vec<Stored>) -> Vec<(Vec<ProposedContext>, Vec<Stored>)> {
    let mut known: Vec<((Uid, Uid), usize)> = Vec::new();
    let mut batches: Vec<(Vec<ProposedContext>, Vec<Stored>)> = Vec::new();
    for stored in instances {
        let pair = (stored.sop_class.clone(), stored.transfer_syntax.clone());
        let at = match known.iter().find(|(one, _)| *one == pair) {
            Some((_, at)) => *at,
            None => {
                let proposed = proposals(&pair);
                let full = |(contexts, _): &(Vec<_>, _)| contexts.len() + 2 > MAX_CONTEXTS;
                if batches.last().is_none_or(full) {
                    batches.push(Default::default());
                }
                if let Some((contexts, _)) = batches.last_mut() {
                    propose(contexts, &pair.0, proposed);
                }
                known.push((pair, batches.len() - 1));
                batches.len() - 1
            }
        };
        batches[at].1.push(stored);
    }
    batches
}

/// Lists of transfer syntaxes, each for a context. The stored syntax stands first; where it is
/// uncompressed, the two that everybody has stand beside it. Where it is compressed they get a
/// context of their own: of one context some acceptors take what is uncompressed though they take
/// the other as well.
fn proposals((_, syntax): &(Uid, Uid)) -> Vec<Vec<Uid>> {
    let plain = [uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE];
    let others = plain.into_iter().filter(|uid| *uid != syntax.as_str()).map(Uid::from);
    let held = TransferSyntax::from_uid(syntax.as_str());
    match held.is_encapsulated() {
        false => vec![std::iter::once(syntax.clone()).chain(others).collect()],
        true if pacslab_codec::can_decode(&held) => {
            vec![vec![syntax.clone()], others.collect()]
        }
        true => vec![vec![syntax.clone()]],
    }
}

fn propose(contexts: &mut Vec<ProposedContext>, class: &Uid, proposed: Vec<Vec<Uid>>) {
    for transfer_syntaxes in proposed {
        let context = ProposedContext {
            id: (2 * contexts.len() + 1) as u8,
            abstract_syntax: class.clone(),
            transfer_syntaxes,
        };
        let same = |one: &ProposedContext| {
            one.abstract_syntax == *class && one.transfer_syntaxes == context.transfer_syntaxes
        };
        if !contexts.iter().any(same) {
            contexts.push(context);
        }
    }
}

/// Why a peer was not reached, and what is most often in the way: containers and firewalls.
fn unreachable(remote: &Remote, error: &pacslab_dimse::Error) -> String {
    let pacslab_dimse::Error::Connect { source, .. } = error else { return error.to_string() };
    const INSIDE: &str = "host.docker.internal";
    let Remote { host, port, .. } = remote;
    let mut why = error.to_string();
    if host == INSIDE && source.kind() != std::io::ErrorKind::ConnectionRefused {
        why += &format!(
            "; {INSIDE} is a name inside of containers: outside write 127.0.0.1, on Linux start the \
             container with --add-host={INSIDE}:host-gateway"
        );
    } else if matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1") {
        why += &format!("; if this PACS runs in a container, its computer is {INSIDE}");
    }
    why + &format!(
        "; if the receiver runs on Windows, let it through the firewall there: netsh advfirewall \
         firewall add rule name=\"DICOM-{port}\" dir=in action=allow protocol=TCP localport={port}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In one context together with the stored syntax, an acceptor that takes both may choose the
    /// other one, and a study is decompressed for nothing.
    #[test]
    fn what_is_compressed_is_offered_apart_from_what_it_can_become() {
        let proposed = |syntax: &str| {
            let mut contexts = Vec::new();
            let pair = (Uid::from("1.2"), Uid::from(syntax));
            propose(&mut contexts, &pair.0, proposals(&pair));
            propose(&mut contexts, &pair.0, proposals(&pair));
            let lists = contexts.iter().map(|one| {
                one.transfer_syntaxes.iter().map(Uid::as_str).collect::<Vec<_>>().join(" ")
            });
            lists.collect::<Vec<_>>()
        };
        let (explicit, implicit) = (uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE);
        assert_eq!(proposed(implicit), [format!("{implicit} {explicit}")]);
        let (jpeg, video) = ("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.102");
        assert_eq!(proposed(jpeg), [jpeg.to_owned(), format!("{explicit} {implicit}")]);
        assert_eq!(proposed(video), [video]);
    }
}
