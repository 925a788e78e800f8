//! `pacslab move`: C-MOVE. PS3.4 C.4.2.

use indicatif::{ProgressBar, ProgressStyle};
use pacslab_dicom::Dataset;
use pacslab_dimse::{Proposal, Status};
use pacslab_dimse::message::SubOperations;
use pacslab_model::{AeTitle, Level, Vr, tags, uids};

use crate::client::{PeerArgs, Target};
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};

/// Have a PACS send studies to somebody (C-MOVE)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
#[command(group = clap::ArgGroup::new("what").required(true).args(["study_uid", "accession", "patient_id"]))]
pub(crate) struct Args {
    /// AE title that receives; the PACS has to know it ([peers] of the embedded one)
    #[arg(long, alias = "to", default_value = "PYNETSCP", value_name = "TITLE")]
    dest: AeTitle,
    /// Study Instance UID
    #[arg(long, alias = "study", value_name = "UID")]
    study_uid: Option<String>,
    /// Series Instance UID: only this series of the study
    #[arg(long, value_name = "UID", requires = "study_uid")]
    series_uid: Option<String>,
    /// SOP Instance UID: only this object of the series
    #[arg(long, value_name = "UID", requires = "series_uid")]
    instance_uid: Option<String>,
    /// Accession number: all its studies, looked up with C-FIND
    #[arg(long, value_name = "TEXT")]
    accession: Option<String>,
    /// Patient ID: everything of a patient (Patient Root)
    #[arg(long, value_name = "TEXT")]
    patient_id: Option<String>,
    #[command(flatten)]
    peer: PeerArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab move --accession ACC1001", "sends the study of an order to PYNETSCP"),
        ("pacslab move --study-uid 1.2.3 --dest ORTHANC", "sends one study to another PACS"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let target = self.peer.resolve(&config)?;
        let identifiers = self.identifiers(&target).await?;
        let root =
            if self.patient_id.is_some() { uids::PATIENT_ROOT_MOVE } else { uids::STUDY_ROOT_MOVE };
        let mut association = target.connect(Proposal::of(root)).await?;
        let mut told = Told::default();
        for identifier in identifiers {
            let bar = context.out.shows_progress().then(bar);
            let mut moving = association.move_(root, self.dest.as_str(), &identifier).await?;
            while let Some(counts) = moving.next().await? {
                if let Some(bar) = &bar {
                    show(bar, counts);
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            told.add(moving.finish().await?);
        }
        // the answers are here; how the peer takes the release is of no use to anybody
        let _ = association.release().await;
        told.tell(context, &target, &self.dest)
    }
}

impl Args {
    async fn identifiers(&self, target: &Target) -> Result<Vec<Dataset>> {
        let level = |level: Level| {
            Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level.as_str())
        };
        if let Some(id) = &self.patient_id {
            return Ok(vec![level(Level::Patient).with_str(tags::PATIENT_ID, Vr::LO, id.as_str())]);
        }
        let studies = match (&self.study_uid, &self.accession) {
            (Some(uid), _) => vec![uid.clone()],
            (None, Some(accession)) => studies(target, accession).await?,
            (None, None) => Vec::new(),
        };
        let lowest = match (&self.series_uid, &self.instance_uid) {
            (_, Some(_)) => Level::Instance,
            (Some(_), None) => Level::Series,
            (None, None) => Level::Study,
        };
        let identifier = |study: String| {
            let mut set = level(lowest).with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study);
            if let Some(uid) = &self.series_uid {
                set.put_str(tags::SERIES_INSTANCE_UID, Vr::UI, uid.as_str());
            }
            if let Some(uid) = &self.instance_uid {
                set.put_str(tags::SOP_INSTANCE_UID, Vr::UI, uid.as_str());
            }
            set
        };
        Ok(studies.into_iter().map(identifier).collect())
    }
}

/// The studies of an accession number: a C-MOVE names studies by UID only (PS3.4 C.4.2.1.4.1).
pub(crate) async fn studies(target: &Target, accession: &str) -> Result<Vec<String>> {
    let mut association = target.connect(Proposal::of(uids::STUDY_ROOT_FIND)).await?;
    let identifier = Dataset::new()
        .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, Level::Study.as_str())
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, accession)
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "");
    let found = association.find_all(uids::STUDY_ROOT_FIND, &identifier, usize::MAX).await?;
    let _ = association.release().await;
    let (found, reply) = found;
    if !reply.status.is_success() {
        return Err(target.refused("C-FIND", &reply));
    }
    let studies: Vec<String> =
        found.iter().map(|set| set.str(tags::STUDY_INSTANCE_UID).to_owned()).collect();
    if studies.is_empty() {
        return Err(Failure::failed(format!(
            "{} has no study with accession number {accession}",
            target.peer
        ))
        .hint("`pacslab find` lists the studies that are there"));
    }
    Ok(studies)
}

/// What came of all moves.
#[derive(Default)]
struct Told {
    sent: u32,
    failed: u32,
    failed_uids: Vec<String>,
    /// The worst final status.
    refused: Option<pacslab_dimse::StatusReply>,
}

impl Told {
    fn add(
        &mut self,
        (reply, counts, failed): (
            pacslab_dimse::StatusReply,
            SubOperations,
            Vec<pacslab_model::Uid>,
        ),
    ) {
        self.sent += u32::from(counts.completed) + u32::from(counts.warning);
        self.failed += u32::from(counts.failed);
        self.failed_uids.extend(failed.iter().map(ToString::to_string));
        if !reply.status.is_success() {
            self.refused = Some(reply);
        }
    }

    fn tell(self, context: &Context<'_>, target: &Target, dest: &AeTitle) -> Result {
        let status = self.refused.as_ref().map_or("0x0000".to_owned(), |r| r.to_string());
        if context.out.json {
            context.out.json(&serde_json::json!({
                "peer": target.peer.to_string(), "destination": dest, "status": status,
                "completed": self.sent, "failed": self.failed, "failed_uids": self.failed_uids,
            }));
        } else if self.refused.is_none() || self.sent + self.failed > 0 {
            let Self { sent, failed, .. } = &self;
            context.out.line(format!("{sent} objects sent to {dest}, {failed} failed"));
            if sent + failed == 0 {
                context.out.remark(&format!(
                    "{} holds nothing of what was asked for; `pacslab find` lists its studies",
                    target.peer
                ));
            }
        }
        match self.refused {
            None => Ok(Exit::Done),
            Some(reply) if self.sent > 0 => {
                context.out.warning(&format!("{} ended with {reply}", target.peer));
                Ok(Exit::Partly)
            }
            Some(reply) => {
                let pacs = &target.peer.aet;
                let hint = match reply.status {
                    Status::MOVE_DESTINATION_UNKNOWN => format!(
                        "{pacs} sends only to those that it knows; in pacslab.toml of the embedded \
                         one: [peers] and {dest} = \"{dest}@host:port\""
                    ),
                    _ => format!(
                        "does {dest} listen where {pacs} looks for it? `pacslab receive` is \
                         PYNETSCP on port 11112"
                    ),
                };
                Err(target.refused("C-MOVE", &reply).hint(hint))
            }
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, counts: SubOperations) {
    let done = u64::from(counts.completed) + u64::from(counts.failed) + u64::from(counts.warning);
    bar.set_length(done + u64::from(counts.remaining.unwrap_or(0)));
    bar.set_position(done);
}
