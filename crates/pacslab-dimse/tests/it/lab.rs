//! A server over a real socket with handlers that remember, and ways to talk to it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pacslab_dicom::{Dataset, dict};
use pacslab_dimse::message::{Operation, Request};
use pacslab_dimse::service::find::{FindHandler, FindRequest, FindResults};
use pacslab_dimse::service::get::{GetHandler, GetRequest, GetTask, Object as Outgoing};
use pacslab_dimse::service::move_::{Failed, MoveHandler, MoveRequest, MoveTask, SubOperation};
use pacslab_dimse::service::store::{StoreBegin, StoreHandler, StoreSink, Stored};
use pacslab_dimse::service::{find, get, move_, store, verification};
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context, Decision, Error, Handler, Offer, Payload, Piece,
    Proposal, Remote, Requestor, ServerConfig, Source, Status, StatusReply, negotiate, pdu, refuse,
    serve,
};
use pacslab_model::event::Collect;
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Event, Moment, Uid, Vr, tags, uids};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A store of this SOP instance is refused at once.
pub(crate) const REFUSED: &str = "1.2.3.4.1";
/// A store of this SOP instance fails at its third byte.
pub(crate) const FULL: &str = "1.2.3.4.2";
/// A store of this SOP instance takes 300 ms to finish.
pub(crate) const SLOW: &str = "1.2.3.4.3";

/// SOP instance, transfer syntax, data set.
type Object = (Uid, Uid, Vec<u8>);

#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) stored: Arc<Mutex<Vec<Object>>>,
}

impl StoreHandler for Memory {
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        if store.sop_instance.as_str() == REFUSED {
            return Err(StatusReply::new(Status::DATA_SET_MISMATCH, "refused by the test"));
        }
        Ok(Box::new(Sink {
            memory: self.clone(),
            instance: store.sop_instance.clone(),
            syntax: store.transfer_syntax.clone(),
            bytes: Vec::new(),
        }))
    }
}

struct Sink {
    memory: Memory,
    instance: Uid,
    syntax: Uid,
    bytes: Vec<u8>,
}

impl StoreSink for Sink {
    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply> {
        self.bytes.extend_from_slice(chunk);
        match self.instance.as_str() == FULL && self.bytes.len() > 2 {
            true => Err(StatusReply::new(Status::OUT_OF_RESOURCES, "the disk is full")),
            false => Ok(()),
        }
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Stored> {
        Box::pin(async move {
            if self.instance.as_str() == SLOW {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let object = (self.instance, self.syntax, self.bytes);
            self.memory.stored.lock().unwrap().push(object);
            StatusReply::SUCCESS.into()
        })
    }
}

pub(crate) struct Door {
    pub(crate) memory: Memory,
}

impl Handler for Door {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            match request.operation {
                Operation::Echo { .. } => verification::scp(association, &context, &request).await,
                Operation::Store { .. } => {
                    store::scp(association, &context, &request, &self.memory).await
                }
                Operation::Find { .. } => find::scp(association, &context, &request, &Finder).await,
                Operation::Get { .. } => get::scp(association, &context, &request, &Getter).await,
                Operation::Move { .. } => move_::scp(association, &context, &request, &Mover).await,
                _ => refuse(association, &context, &request).await,
            }
        })
    }
}

/// Answers by the patient name: `MANY3` has three matches.
struct Finder;

impl FindHandler for Finder {
    fn find(
        &self,
        request: FindRequest,
    ) -> BoxFuture<'_, Result<Box<dyn FindResults>, StatusReply>> {
        Box::pin(async move {
            let name = request.identifier.str(tags::PATIENT_NAME).to_owned();
            if name == "REFUSE" {
                return Err(StatusReply::new(Status::OUT_OF_RESOURCES, "out of order"));
            }
            if let Some(count) = name.strip_prefix("MANY") {
                let all: Vec<Dataset> = (0..count.parse().unwrap()).map(found).collect();
                return Ok(Box::new(all.into_iter()) as Box<dyn FindResults>);
            }
            Ok(Box::new(Results { name, given: 0 }) as Box<dyn FindResults>)
        })
    }
}

fn found(n: usize) -> Dataset {
    Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, n.to_string())
}

struct Results {
    name: String,
    given: usize,
}

impl FindResults for Results {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<(Status, Dataset), StatusReply>>> {
        Box::pin(async move {
            match self.name.as_str() {
                "HANG" => std::future::pending().await,
                "TRICKLE" if self.given > 0 => tokio::time::sleep(Duration::from_millis(20)).await,
                "BREAK" if self.given == 2 => {
                    return Some(Err(StatusReply::new(Status::OUT_OF_RESOURCES, "out of order")));
                }
                _ => {}
            }
            self.given += 1;
            Some(Ok((Status::PENDING, found(self.given))))
        })
    }
}

/// Performs the sub-operations that the letters of the patient name stand for.
struct Mover;

impl MoveHandler for Mover {
    fn begin(&self, request: MoveRequest) -> BoxFuture<'_, Result<Box<dyn MoveTask>, StatusReply>> {
        Box::pin(async move {
            if request.destination != "WS" {
                let comment = format!("{} is not a destination we know", request.destination);
                return Err(StatusReply::new(Status::MOVE_DESTINATION_UNKNOWN, comment));
            }
            let letters = request.identifier.str(tags::PATIENT_NAME).chars().collect();
            Ok(Box::new(Letters { letters, at: 0 }) as Box<dyn MoveTask>)
        })
    }
}

struct Letters {
    letters: Vec<char>,
    at: usize,
}

impl MoveTask for Letters {
    fn total(&self) -> usize {
        self.letters.len()
    }

    fn next_operation(&mut self) -> BoxFuture<'_, Option<SubOperation>> {
        Box::pin(async move {
            let letter = self.letters.get(self.at).copied()?;
            let uid = Uid::new(format!("1.2.{}", self.at));
            if letter == 'd' {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            if letter == 'h' {
                std::future::pending::<()>().await;
            }
            self.at += 1;
            Some(match letter {
                'w' => SubOperation::Warning(uid),
                'f' => SubOperation::Failed(Failed {
                    sop_instance: uid,
                    why: "the disk is full".into(),
                }),
                's' => SubOperation::Stop {
                    reply: StatusReply::of(Status::OUT_OF_RESOURCES),
                    not_sent: vec![uid],
                },
                _ => SubOperation::Completed,
            })
        })
    }
}

/// Gives the objects that the letters of the patient name stand for: `c` a CT, `m` an MR, `b` a
/// big CT in pieces, `g` a huge one, `x` one whose last piece cannot be read, `d` a CT that takes 30
/// ms, `f` one that cannot be read, `r` one that is refused.
struct Getter;

impl GetHandler for Getter {
    fn begin(&self, request: GetRequest) -> BoxFuture<'_, Result<Box<dyn GetTask>, StatusReply>> {
        Box::pin(async move {
            let name = request.identifier.str(tags::PATIENT_NAME);
            if name == "REFUSE" {
                return Err(StatusReply::new(Status::OUT_OF_RESOURCES, "out of order"));
            }
            let letters = name.chars().collect();
            Ok(Box::new(Objects { letters, at: 0 }) as Box<dyn GetTask>)
        })
    }
}

/// So many times 1 MiB.
struct Pieces {
    left: usize,
    broken: bool,
}

impl Source for Pieces {
    fn next(&mut self) -> BoxFuture<'_, std::io::Result<Piece>> {
        self.left -= 1;
        let last = self.left == 0;
        Box::pin(std::future::ready(match self.broken && last {
            true => Err(std::io::Error::other("the checksum is wrong")),
            false => Ok(Piece { bytes: vec![7; 1 << 20].into(), last }),
        }))
    }
}

struct Objects {
    letters: Vec<char>,
    at: usize,
}

impl GetTask for Objects {
    fn total(&self) -> usize {
        self.letters.len()
    }

    fn next(&mut self) -> BoxFuture<'_, Option<Result<Outgoing, Failed>>> {
        Box::pin(async move {
            let letter = self.letters.get(self.at).copied()?;
            if letter == 'd' {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            self.at += 1;
            let sop_instance = match letter {
                'r' => Uid::from(REFUSED),
                _ => Uid::new(format!("1.2.{}", self.at)),
            };
            if letter == 'f' {
                return Some(Err(Failed { sop_instance, why: "the disk is broken".into() }));
            }
            let class = if letter == 'm' { MR } else { uids::CT_IMAGE_STORAGE };
            let data = match letter {
                'b' => Payload::Pieces(Box::new(Pieces { left: 3, broken: false })),
                'x' => Payload::Pieces(Box::new(Pieces { left: 3, broken: true })),
                'g' => Payload::Pieces(Box::new(Pieces { left: 32, broken: false })),
                _ => Payload::Whole(vec![7; 64].into()),
            };
            Some(Ok(Outgoing {
                sop_class: class.into(),
                sop_instance,
                transfer_syntax: uids::EXPLICIT_VR_LE.into(),
                data,
            }))
        })
    }
}

pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

pub(crate) struct Policy;

impl Acceptor for Policy {
    fn decide(&self, request: &pdu::AssociateRq, _: SocketAddr) -> Decision {
        if request.called == "NOBODY" {
            return Decision::Reject(pdu::AssociateRj::CALLED_AE);
        }
        Decision::Accept(negotiate(request, &|uid| match uid.as_str() {
            uid if dict::is_storage(uid) => Some(Offer::STORAGE),
            uids::VERIFICATION
            | uids::STUDY_ROOT_FIND
            | uids::STUDY_ROOT_MOVE
            | uids::STUDY_ROOT_GET
            | uids::MODALITY_WORKLIST_FIND => Some(Offer::SERVICE),
            _ => None,
        }))
    }
}

/// A running server.
pub(crate) struct Lab {
    pub(crate) address: SocketAddr,
    pub(crate) memory: Memory,
    pub(crate) events: Arc<Collect>,
    seen: Mutex<Vec<Event>>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (memory, events) = (Memory::default(), Arc::<Collect>::default());
        let mut config = ServerConfig::new(Arc::new(Policy), events.clone(), clock());
        change(&mut config);
        let (stop, stopped) = oneshot::channel::<()>();
        let door = Arc::new(Door { memory: memory.clone() });
        let server = tokio::spawn(serve(listener, config, door, async {
            let _ = stopped.await;
        }));
        Self { address, memory, events, seen: Mutex::default(), stop: Some(stop), server }
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote {
            aet: ae("PACS"),
            host: self.address.ip().to_string(),
            port: self.address.port(),
            tls: false,
        }
    }

    pub(crate) async fn connect(
        &self,
        proposal: impl Into<Proposal>,
    ) -> Result<Association, Error> {
        Association::connect(&us(), &self.remote(), proposal).await
    }

    pub(crate) async fn echo(&self) -> Result<StatusReply, Error> {
        let mut association = self.connect(Proposal::of(uids::VERIFICATION)).await?;
        let reply = association.echo().await?;
        association.release().await?;
        Ok(reply)
    }

    /// Waits for an event of a kind, and gives it.
    pub(crate) async fn event(&self, kind: &str) -> Event {
        within(async {
            loop {
                let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
                seen.extend(self.events.take());
                let at = seen.iter().position(|event| event.kind == kind);
                let found = at.map(|at| seen.remove(at));
                *self.seen.lock().unwrap() = seen;
                match found {
                    Some(event) => return event,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await
    }

    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub(crate) async fn stop(mut self) {
        if self.stop.is_some() {
            self.begin_stop();
        }
        within(self.server).await.unwrap();
    }
}

pub(crate) fn ae(title: &str) -> AeTitle {
    AeTitle::new(title).unwrap()
}

pub(crate) fn us() -> Requestor {
    Requestor::silent(ae("TESTER"))
}

pub(crate) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock(Moment::new(0, 0)))
}

/// No test waits for ever.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it took more than 20 s")
}
