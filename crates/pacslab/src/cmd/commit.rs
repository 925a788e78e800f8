//! `pacslab commit`: storage commitment as SCU, push model. PS3.4 J.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pacslab_dicom::dict;
use pacslab_dimse::message::Request;
use pacslab_dimse::pdu::AssociateRq;
use pacslab_dimse::service::commitment::{
    CommitmentReport, CommitmentRequest, Reference, is_report, take_report,
};
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context as Presentation, Decision, Error, Handler, Offer,
    Proposal, ServerConfig, Status, StatusReply, negotiate, refuse,
};
use pacslab_model::{Uid, uids};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::client::{PeerArgs, Target, duration};
use crate::clock::SystemClock;
use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::listen::Door;
use crate::logging::Logged;
use crate::outbox::Outbox;
use crate::tls;

/// Ask a PACS whether it will keep what it was sent (storage commitment)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Files and folders that were sent; nothing of them is sent again
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Take the report on a port of our own as well, for PACS that open an association for it;
    /// they have to know us by this port [default: the receiver's, 11112]
    #[arg(long, value_name = "N")]
    listen: Option<Option<u16>>,
    /// How long the association stays open for the report [default: as long as --wait; 2s with
    /// --listen]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    hold: Option<Duration>,
    /// How long to wait for the report
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,
    #[command(flatten)]
    peer: PeerArgs,
}

/// Many PACS call only once the association of the request is closed.
const HOLD: Duration = Duration::from_secs(2);

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab commit data/samples", "is all of it kept by the embedded PACS?"),
        (
            "pacslab commit data/samples --pacs ORTHANC@127.0.0.1:4242 --listen 11113",
            "an Orthanc, which reports to PYMOD1 at the port it knows",
        ),
        ("pacslab commit data/samples --json", "what became of each object, as JSON"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let target = self.peer.resolve(&config)?;
        let asked = self.request(context, &target)?;
        let (sender, mut reports) = mpsc::unbounded_channel();
        if let Some(port) = self.listen {
            let ear = Ear { transaction: asked.transaction.clone(), reports: sender.clone() };
            ear.open(&config, port.unwrap_or(config.receiver.port)).await?;
        }
        let accept = |report: &CommitmentReport| expected(&asked.transaction, report);
        let mut association = target.connect(Proposal::of(uids::STORAGE_COMMITMENT_PUSH)).await?;
        let (reply, mut early) = association.ask_commitment(&asked, &accept).await?;
        if !reply.status.is_done() {
            let _ = association.release().await;
            return Err(target.refused("the request", &reply));
        }
        context.out.remark(&format!("{} took the request", target.peer));
        let until = Instant::now() + self.wait;
        let hold = self.hold.unwrap_or(if self.listen.is_some() { HOLD } else { self.wait });
        let mut report = early.pop();
        if report.is_none() {
            report = tokio::select! {
                Some(report) = reports.recv() => Some(report),
                // who closes the association may call
                same = association.next_commitment(hold.min(self.wait), &accept) => same.ok().flatten(),
            };
        }
        if !association.is_over() {
            let _ = association.release().await;
        }
        if report.is_none() && self.listen.is_some() {
            report = timeout_at(until, reports.recv()).await.ok().flatten();
        }
        let report = report.ok_or_else(|| self.nothing_came(&target, &config))?;
        Ok(tell(context, &target, &asked, &report))
    }
}

impl Args {
    fn request(&self, context: &Context<'_>, target: &Target) -> Result<CommitmentRequest> {
        let outbox = Outbox::collect(&self.paths);
        for skipped in outbox.skipped.iter().filter(|skipped| skipped.meant) {
            context.out.warning(&format!("skipped {}: {}", skipped.path.display(), skipped.why));
        }
        let mut references: Vec<Reference> = outbox
            .items
            .into_iter()
            .map(|item| Reference {
                sop_class: item.meta.sop_class,
                sop_instance: item.meta.sop_instance,
            })
            .collect();
        references.sort();
        references.dedup();
        let Some(first) = references.first() else {
            return Err(Failure::failed("there is no DICOM file to ask for")
                .hint("name the files that were sent, e.g. data/samples"));
        };
        let transaction =
            crate::commitment::transaction(&target.calling, &context.clock, &first.sop_instance);
        Ok(CommitmentRequest { transaction, references })
    }

    fn nothing_came(&self, target: &Target, config: &Config) -> Failure {
        let seconds = self.wait.as_secs_f32();
        let failure = Failure::failed(format!(
            "{} took the request, and no report came within {seconds} s",
            target.peer
        ));
        let (us, port) = (&target.calling, config.receiver.port);
        failure.hint(match self.listen {
            None => format!(
                "it may want to call back: let it know {us} at this computer and port {port}, and \
                 add --listen {port}"
            ),
            Some(_) => format!(
                "it has to know {us} by the address and port that we listen at; docs/\
                 troubleshooting.md has the rest"
            ),
        })
    }
}

/// A report of another request is none of ours: its SCP should go on trying.
fn expected(transaction: &Uid, report: &CommitmentReport) -> StatusReply {
    match report.transaction == *transaction {
        true => StatusReply::SUCCESS,
        false => StatusReply::new(
            Status::INVALID_ARGUMENT_VALUE,
            format!("transaction {} is not waited for", report.transaction),
        ),
    }
}

fn tell(
    context: &Context<'_>,
    target: &Target,
    asked: &CommitmentRequest,
    report: &CommitmentReport,
) -> Exit {
    let silent = unmentioned(asked, report);
    let (committed, failed) = (report.committed.len(), report.failed.len() + silent.len());
    if context.out.json {
        let failures: Vec<_> = report
            .failed
            .iter()
            .map(|(one, reason)| {
                serde_json::json!({
                    "sop_class": one.sop_class, "sop_instance": one.sop_instance,
                    "reason": format!("0x{:04X}", reason.0), "message": reason.to_string(),
                })
            })
            .chain(silent.iter().map(|one| {
                serde_json::json!({
                    "sop_class": one.sop_class, "sop_instance": one.sop_instance,
                    "message": NOT_MENTIONED,
                })
            }))
            .collect();
        let instances = report.committed.iter().map(|one| &one.sop_instance);
        context.out.json(&serde_json::json!({
            "peer": target.peer.to_string(), "transaction": asked.transaction,
            "committed": instances.collect::<Vec<_>>(), "failed": failures,
            "retrieve_aet": report.retrieve_aet,
        }));
    } else {
        let mut counts = BTreeMap::<(String, String), usize>::new();
        let class = |one: &Reference| {
            dict::uid_name(one.sop_class.as_str()).unwrap_or(one.sop_class.as_str()).to_owned()
        };
        let good = report.committed.iter().map(|one| (class(one), "committed".to_owned()));
        let bad = report.failed.iter().map(|(one, reason)| (class(one), reason.to_string()));
        let left = silent.iter().map(|one| (class(one), NOT_MENTIONED.to_owned()));
        good.chain(bad).chain(left).for_each(|key| *counts.entry(key).or_default() += 1);
        let rows = counts.into_iter().map(|((class, what), n)| vec![class, what, n.to_string()]);
        context.out.table(&["sop class", "outcome", "objects"], rows.collect(), "nothing");
        for (one, reason) in &report.failed {
            context.out.warning(&format!("{}: {reason}", one.sop_instance));
        }
        for one in &silent {
            context.out.warning(&format!("{}: {NOT_MENTIONED}", one.sop_instance));
        }
        let all = asked.references.len();
        context.out.line(format!("{committed} of {all} objects committed by {}", target.peer));
    }
    match (committed, failed) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::Failed,
        _ => Exit::Partly,
    }
}

const NOT_MENTIONED: &str = "the report does not mention it";

/// What was asked for and is neither committed nor failed: not to be deleted.
fn unmentioned(asked: &CommitmentRequest, report: &CommitmentReport) -> Vec<Reference> {
    let failed = report.failed.iter().map(|(one, _)| one);
    let told: std::collections::HashSet<_> =
        report.committed.iter().chain(failed).map(|one| &one.sop_instance).collect();
    let left = asked.references.iter().filter(|one| !told.contains(&one.sop_instance));
    left.cloned().collect()
}

/// Where a PACS calls to report.
struct Ear {
    transaction: Uid,
    reports: mpsc::UnboundedSender<CommitmentReport>,
}

impl Ear {
    /// Listens until the program ends.
    async fn open(self, config: &Config, port: u16) -> Result<()> {
        let bind = config.receiver.bind;
        let door = Door { name: "DICOM", bind, port, flag: "--listen", key: "receiver.port" };
        let listener = door.open().await?;
        let secure = tls::Door::of_receiver(config)?;
        let server = ServerConfig::new(Arc::new(Anybody), Arc::new(Logged), Arc::new(SystemClock));
        let server = ServerConfig { secure, ..server };
        let forever = std::future::pending();
        tokio::spawn(pacslab_dimse::serve(listener, server, Arc::new(self), forever));
        Ok(())
    }
}

impl Handler for Ear {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Presentation>,
        request: Request,
    ) -> BoxFuture<'a, std::result::Result<(), Error>> {
        Box::pin(async move {
            if !is_report(&request) {
                return refuse(association, &context, &request).await;
            }
            let accept = |report: &CommitmentReport| expected(&self.transaction, report);
            if let Some(report) = take_report(association, &context, &request, &accept).await? {
                // nobody waits any more: it was answered all the same
                let _ = self.reports.send(report);
            }
            Ok(())
        })
    }
}

/// Every PACS may call, as SCP of commitment.
struct Anybody;

impl Acceptor for Anybody {
    fn decide(&self, request: &AssociateRq, _: SocketAddr) -> Decision {
        Decision::Accept(negotiate(request, &|uid: &Uid| {
            (uid.as_str() == uids::STORAGE_COMMITMENT_PUSH).then_some(Offer::REPORTS)
        }))
    }
}
