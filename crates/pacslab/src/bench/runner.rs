//! Connections that repeat a request until the time or the count is over.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pacslab_dimse::{Error, Refusal, Status, StatusReply};
use tokio::sync::Barrier;

use super::stats::Samples;
use crate::exit::Failure;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that is asked of a PACS again and again.
pub(crate) trait Workload: Send + Sync {
    /// Opens what one connection needs.
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>>;
}

/// One connection. Dropped after a fault that ends it.
pub(crate) trait Worker: Send {
    /// One request, other than the one before, and its answer looked at.
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>>;

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What a request that succeeded was about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    pub(crate) bytes: u64,
    /// Images, or matches, or workflows.
    pub(crate) objects: u64,
    pub(crate) steps: Vec<(&'static str, Duration)>,
}

/// What a request came to that did not succeed.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The same words for the same cause: errors are counted by them.
    pub(crate) kind: String,
    /// All there is to say.
    pub(crate) detail: String,
    /// The connection is of no more use.
    pub(crate) fatal: bool,
    /// The peer does not do this at all.
    pub(crate) not_offered: bool,
}

impl Fault {
    /// An answer that is not the right one, on a connection that goes on.
    pub(crate) fn wrong(kind: impl Into<String>) -> Self {
        let kind = kind.into();
        Self { detail: kind.clone(), kind, fatal: false, not_offered: false }
    }

    #[must_use]
    pub(crate) fn fatal(self) -> Self {
        Self { fatal: true, ..self }
    }

    #[must_use]
    pub(crate) fn not_offered(self) -> Self {
        Self { not_offered: true, ..self }
    }

    #[must_use]
    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// A status that is no success.
    pub(crate) fn status(what: &str, reply: &StatusReply) -> Self {
        const NOT_DONE: [Status; 4] = [
            Status::SOP_CLASS_NOT_SUPPORTED,
            Status::NO_SUCH_SOP_CLASS,
            Status::UNRECOGNIZED_OPERATION,
            Status::NOT_AUTHORIZED,
        ];
        Self {
            kind: format!("{what} status 0x{:04X}", reply.status.0),
            detail: format!("{what} was answered with {reply}"),
            fatal: false,
            not_offered: NOT_DONE.contains(&reply.status),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (kind, not_offered) = match &error {
            Error::Connect { .. } => ("no connection", false),
            Error::Tls { .. } => ("no TLS", false),
            Error::Rejected { .. } => ("association rejected", false),
            Error::Aborted { .. } => ("association aborted", false),
            Error::Timeout { .. } | Error::Stalled { .. } => ("timeout", false),
            Error::Closed { .. } => ("connection closed", false),
            Error::Io { .. } => ("connection broken", false),
            // contexts that nobody answered are those of a broken peer
            Error::ContextRefused { reason, .. } => {
                ("presentation context refused", !matches!(reason, Refusal::NotProposed))
            }
            _ => ("no valid DICOM", false),
        };
        Self { kind: kind.to_owned(), detail, fatal: true, not_offered }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let Failure { message, .. } = failure;
        Self { kind: "failed".to_owned(), detail: message, fatal: true, not_offered: false }
    }
}

/// When a round is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    /// Requests of all connections together; then `time` is of no matter.
    pub(crate) count: Option<u64>,
    /// Requests in this time before are made and not counted.
    pub(crate) warm_up: Duration,
    /// Ends a round that has moved so many bytes.
    pub(crate) most_bytes: u64,
}

/// So many failures without a success between them are enough of one connection.
const GIVE_UP: u32 = 20;
/// After a failure, so that a peer that is down is not called thousands of times.
const PAUSE: Duration = Duration::from_millis(20);

/// What the connections of a round share.
struct Round {
    workload: Arc<dyn Workload>,
    limits: Limits,
    barrier: Barrier,
    begun: AtomicU64,
    bytes: AtomicU64,
}

/// Plays one round. The clock starts when all connections are open and warm.
pub(crate) async fn round(
    workload: Arc<dyn Workload>,
    connections: usize,
    limits: Limits,
) -> Samples {
    let round = Arc::new(Round {
        workload,
        limits,
        barrier: Barrier::new(connections),
        begun: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    });
    let workers: Vec<_> =
        (0..connections).map(|_| tokio::spawn(Connection::play(round.clone()))).collect();
    let mut all = Samples::default();
    for worker in workers {
        match worker.await {
            Ok(samples) => all.beside(samples),
            Err(error) => {
                *all.errors.entry(format!("the client failed: {error}")).or_default() += 1;
            }
        }
    }
    all
}

/// One connection of a round.
struct Connection {
    round: Arc<Round>,
    worker: Option<Box<dyn Worker>>,
    in_a_row: u32,
}

impl Connection {
    async fn play(round: Arc<Round>) -> Samples {
        let mut own = Self { round, worker: None, in_a_row: 0 };
        let mut cold = BTreeMap::new();
        own.connect(&mut cold).await;
        let Limits { warm_up, count, .. } = own.round.limits;
        own.round.barrier.wait().await;
        let warm = Instant::now() + warm_up;
        let mut left = if count.is_some() { 1 } else { u64::MAX };
        while left > 0 && (count.is_some() || Instant::now() < warm) && own.in_a_row < GIVE_UP {
            own.request(&mut Samples::default()).await;
            left -= 1;
        }
        own.in_a_row = 0;
        own.round.barrier.wait().await;
        let mut samples = Samples::default();
        let start = Instant::now();
        while own.may_go_on(start) {
            let before = samples.bytes;
            own.request(&mut samples).await;
            own.round.bytes.fetch_add(samples.bytes - before, Ordering::Relaxed);
        }
        samples.elapsed = start.elapsed();
        if let Some(worker) = own.worker {
            worker.close().await;
        }
        samples
    }

    /// Takes one of the requests that are left.
    fn may_go_on(&self, start: Instant) -> bool {
        let Round { limits, begun, bytes, .. } = &*self.round;
        self.in_a_row < GIVE_UP
            && bytes.load(Ordering::Relaxed) < limits.most_bytes
            && match limits.count {
                Some(count) => begun.fetch_add(1, Ordering::Relaxed) < count,
                None => start.elapsed() < limits.time,
            }
    }

    async fn connect(&mut self, errors: &mut BTreeMap<String, u64>) {
        match self.round.workload.open().await {
            Ok(worker) => self.worker = Some(worker),
            Err(fault) => self.failed(&fault, errors).await,
        }
    }

    async fn failed(&mut self, fault: &Fault, errors: &mut BTreeMap<String, u64>) {
        *errors.entry(fault.kind.clone()).or_default() += 1;
        self.in_a_row += 1;
        if fault.fatal {
            self.worker = None;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn request(&mut self, samples: &mut Samples) {
        if self.worker.is_none() {
            self.connect(&mut samples.errors).await;
        }
        let Some(worker) = &mut self.worker else { return };
        let begun = Instant::now();
        match worker.once().await {
            Ok(done) => {
                samples.times.push(begun.elapsed());
                samples.bytes += done.bytes;
                samples.objects += done.objects;
                for (step, time) in done.steps {
                    samples.steps.entry(step).or_default().push(time);
                }
                self.in_a_row = 0;
            }
            Err(fault) => self.failed(&fault, &mut samples.errors).await,
        }
    }
}

/// One request, before anything is measured: whether the peer does this at all.
pub(crate) async fn probe(workload: &dyn Workload) -> Result<(), Fault> {
    let mut worker = workload.open().await?;
    worker.once().await?;
    worker.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails each third request, and loses the connection each sixth.
    #[derive(Default)]
    struct Moody {
        opened: AtomicU64,
        asked: Arc<AtomicU64>,
    }

    struct One(Arc<AtomicU64>);

    impl Workload for Moody {
        fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let worker: Box<dyn Worker> = Box::new(One(self.asked.clone()));
            Box::pin(std::future::ready(Ok(worker)))
        }
    }

    impl Worker for One {
        fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let result = match (number % 3, number % 6) {
                (_, 0) => Err(Fault::wrong("lost").fatal()),
                (0, _) => Err(Fault::wrong("refused")),
                _ => Ok(Done { bytes: 10, objects: 1, steps: vec![("step", Duration::ZERO)] }),
            };
            Box::pin(std::future::ready(result))
        }
    }

    fn limits(count: u64) -> Limits {
        Limits {
            time: Duration::from_secs(60),
            count: Some(count),
            warm_up: Duration::from_secs(60),
            most_bytes: u64::MAX,
        }
    }

    #[tokio::test]
    async fn a_count_is_kept_and_errors_are_no_successes() {
        let moody = Arc::new(Moody::default());
        let samples = round(moody.clone(), 4, limits(120)).await;
        // one of each connection was for warming up
        assert_eq!(moody.asked.load(Ordering::Relaxed), 124);
        assert_eq!(samples.times.len() as u64 + samples.errors.values().sum::<u64>(), 120);
        assert!((78..=82).contains(&samples.times.len()), "{samples:?}");
        assert_eq!(samples.bytes, 10 * samples.objects);
        assert_eq!(samples.errors.keys().collect::<Vec<_>>(), ["lost", "refused"]);
        assert_eq!(samples.steps["step"].len(), samples.times.len());
        assert!(moody.opened.load(Ordering::Relaxed) >= 4 + samples.errors["lost"] - 4);
    }

    /// Nobody there.
    struct Absent;

    impl Workload for Absent {
        fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
            Box::pin(std::future::ready(Err(Fault::wrong("no connection").fatal())))
        }
    }

    #[tokio::test]
    async fn a_peer_that_is_down_is_given_up() {
        let samples = round(Arc::new(Absent), 2, limits(1_000_000)).await;
        assert_eq!(samples.times.len(), 0);
        assert_eq!(samples.errors["no connection"], 2 * u64::from(GIVE_UP));
        assert!(probe(&Absent).await.is_err());
    }

    #[tokio::test]
    async fn a_round_ends_when_it_has_moved_enough() {
        let limits = Limits { most_bytes: 100, ..limits(1_000_000) };
        let samples = round(Arc::new(Moody::default()), 1, limits).await;
        assert_eq!(samples.bytes, 100);
    }
}
