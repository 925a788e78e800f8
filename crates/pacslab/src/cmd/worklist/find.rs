//! `pacslab worklist find`: C-FIND, Modality Worklist. PS3.4 K.

use pacslab_dicom::{Dataset, dump};
use pacslab_dimse::{Proposal, StatusReply};
use pacslab_model::{Tag, tags, uids};

use crate::client::{PeerArgs, Target};
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::identifier;

/// Query a worklist (C-FIND)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Print the request, each status and each answer
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    query: QueryArgs,
    #[command(flatten)]
    peer: PeerArgs,
}

/// What a scanner asks a worklist.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct QueryArgs {
    /// AE title of the scanner; * for all [default: our own AE title]
    #[arg(long, value_name = "TITLE")]
    pub(crate) station: Option<String>,
    /// Start date or range, e.g. 20260105 or 20260105-
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
    /// Modality
    #[arg(long, value_name = "TEXT")]
    pub(crate) modality: Option<String>,
    /// Accession number
    #[arg(long, value_name = "TEXT")]
    pub(crate) accession: Option<String>,
    /// Patient ID
    #[arg(long, value_name = "TEXT")]
    pub(crate) patient_id: Option<String>,
    /// Patient's name, e.g. DOE*
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// A further key: KEYWORD=VALUE or SEQUENCE.KEYWORD=VALUE; may be repeated
    #[arg(short, long = "key", value_name = "KEY=VALUE")]
    pub(crate) keys: Vec<String>,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab worklist find", "what is scheduled for PYMOD1"),
        ("pacslab worklist find -v", "the same with every message: Status: 0xff00, Matches: 1"),
        (
            "pacslab worklist find --station \"*\" --date 20260105- --pacs ORTHANC@127.0.0.1:4242",
            "an Orthanc's worklist",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let target = self.peer.resolve(&config)?;
        let identifier = self.query.identifier(&target)?;
        let verbose = self.verbose && !context.out.json;
        if verbose {
            context.out.line(format!("C-FIND request to {}", target.peer));
            context.out.text(&printable(&dump::dump(&identifier)));
        }
        let Answered { found, reply, ours } = query(&target, &identifier, |status, set| {
            if verbose {
                context.out.line(format!("Status: 0x{status:04x}"));
                context.out.text(&printable(&dump::dump(set)));
            }
        })
        .await?;
        if verbose {
            context.out.line(format!("Status: 0x{:04x}", reply.status.0));
        } else if context.out.json {
            context.out.json(&found.iter().map(identifier::plain_json).collect::<Vec<_>>());
        } else {
            tell(context, &target, &found);
        }
        context.out.say(format!("Matches: {}", found.len()));
        if !reply.status.is_success() {
            return Err(target.refused("the worklist query", &reply));
        }
        if found.is_empty() && !context.out.json {
            context.out.remark(&self.query.why_nothing(&target, ours));
        }
        Ok(Exit::Done)
    }
}

/// What came of a query.
pub(crate) struct Answered {
    pub(crate) found: Vec<Dataset>,
    pub(crate) reply: StatusReply,
    /// The peer is one of our own departments, which explains itself.
    ours: bool,
}

/// Asks a worklist; `each` sees every match with its status when it comes.
pub(crate) async fn query(
    target: &Target,
    identifier: &Dataset,
    mut each: impl FnMut(u16, &Dataset),
) -> Result<Answered> {
    let mut association = target.connect(Proposal::of(uids::MODALITY_WORKLIST_FIND)).await?;
    let ours = association.info().implementation_version.starts_with("PACSLAB");
    let mut answers = association.find(uids::MODALITY_WORKLIST_FIND, identifier).await?;
    let mut found = Vec::new();
    while let Some((status, set)) = answers.next().await? {
        each(status.0, &set);
        found.push(set);
    }
    let reply = answers.reply().cloned().unwrap_or(StatusReply::SUCCESS);
    drop(answers);
    // the answers are here; how the peer takes the release is of no use to anybody
    let _ = association.release().await;
    Ok(Answered { found, reply, ours })
}

const STEP: Tag = tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE;

/// What images need of a worklist item, IHE RAD TF-2 4.5: asked for whether it is a key or not.
const RETURNED: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::REFERENCED_STUDY_SEQUENCE,
    tags::REFERENCED_PATIENT_SEQUENCE,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::MEDICAL_ALERTS,
    tags::ALLERGIES,
    tags::PREGNANCY_STATUS,
    tags::STUDY_INSTANCE_UID,
    tags::REQUESTING_PHYSICIAN,
    tags::REQUESTED_PROCEDURE_DESCRIPTION,
    tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
    tags::ADMISSION_ID,
    tags::REQUESTED_PROCEDURE_ID,
    tags::REQUESTED_PROCEDURE_PRIORITY,
    tags::PLACER_ORDER_NUMBER,
    tags::FILLER_ORDER_NUMBER,
];

const RETURNED_OF_STEP: &[Tag] = &[
    tags::MODALITY,
    tags::SCHEDULED_STATION_AE_TITLE,
    tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
    tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
    tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME,
    tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
    tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE,
    tags::SCHEDULED_PROCEDURE_STEP_ID,
    tags::SCHEDULED_STATION_NAME,
    tags::SCHEDULED_PROCEDURE_STEP_LOCATION,
    tags::SCHEDULED_PROCEDURE_STEP_STATUS,
];

impl QueryArgs {
    pub(crate) fn identifier(&self, target: &Target) -> Result<Dataset> {
        let mut set = Dataset::new();
        let station = match self.station.as_deref() {
            Some("*") => String::new(),
            Some(station) => station.to_owned(),
            None => target.calling.to_string(),
        };
        for (path, value) in [
            (&[STEP, tags::SCHEDULED_STATION_AE_TITLE][..], Some(&station)),
            (&[STEP, tags::SCHEDULED_PROCEDURE_STEP_START_DATE], self.date.as_ref()),
            (&[STEP, tags::MODALITY], self.modality.as_ref()),
            (&[tags::ACCESSION_NUMBER], self.accession.as_ref()),
            (&[tags::PATIENT_ID], self.patient_id.as_ref()),
            (&[tags::PATIENT_NAME], self.name.as_ref()),
        ] {
            if let Some(value) = value {
                identifier::put(&mut set, path, value)?;
            }
        }
        self.keys.iter().try_for_each(|key| identifier::put_key(&mut set, key))?;
        // encoding declares the character set, if one is needed
        for tag in RETURNED.iter().filter(|tag| **tag != tags::SPECIFIC_CHARACTER_SET) {
            identifier::put(&mut set, &[*tag], "")?;
        }
        for tag in RETURNED_OF_STEP {
            identifier::put(&mut set, &[STEP, *tag], "")?;
        }
        Ok(set)
    }

    /// What to try when nothing was found: the station is asked for even if nobody typed it.
    fn why_nothing(&self, target: &Target, ours: bool) -> String {
        let station = match self.station.as_deref() {
            Some("*") => String::new(),
            Some(station) => format!("asked for station {station}; --station \"*\" asks for all"),
            None => format!(
                "asked for station {}, our own title; --station \"*\" asks for all",
                target.calling
            ),
        };
        let reasons = "`pacslab watch --kind worklist --no-follow` tells what kept each item back, \
                       `pacslab hl7 send` orders an exam";
        match (station.as_str(), ours) {
            ("", true) => reasons.to_owned(),
            ("", false) => "is anything scheduled there, and for what date?".to_owned(),
            (station, true) => format!("{station}; {reasons}"),
            (station, false) => station.to_owned(),
        }
    }
}

fn tell(context: &Context<'_>, target: &Target, found: &[Dataset]) {
    let columns: [(&str, &[Tag]); 8] = [
        ("accession", &[tags::ACCESSION_NUMBER]),
        ("patient id", &[tags::PATIENT_ID]),
        ("name", &[tags::PATIENT_NAME]),
        ("station", &[STEP, tags::SCHEDULED_STATION_AE_TITLE]),
        ("modality", &[STEP, tags::MODALITY]),
        ("date", &[STEP, tags::SCHEDULED_PROCEDURE_STEP_START_DATE]),
        ("time", &[STEP, tags::SCHEDULED_PROCEDURE_STEP_START_TIME]),
        ("description", &[tags::REQUESTED_PROCEDURE_DESCRIPTION]),
    ];
    let headings = columns.map(|column| column.0);
    let rows = found
        .iter()
        .map(|set| columns.iter().map(|(_, path)| identifier::text(set, path)).collect())
        .collect();
    let none = format!("{} has nothing on its worklist that matches", target.peer);
    context.out.table(&headings, rows, &none);
}

/// Dumps keep their lines; other control characters of a peer stay out of the terminal.
fn printable(text: &str) -> String {
    text.lines().map(|line| format!("  {}\n", crate::output::printable(line))).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        query: QueryArgs,
    }

    #[test]
    fn a_scanner_asks_for_its_own_items_and_all_that_images_need() {
        let values = crate::config::Values::defaults(crate::config::KEYS);
        let config = crate::config::Config::from_values(&values).unwrap();
        let target = PeerArgs::default().resolve(&config).unwrap();
        let ask = |words: &[&str]| {
            let line = Line::parse_from(["find"].iter().chain(words));
            line.query.identifier(&target).unwrap()
        };
        let set = ask(&["--date", "20260105-"]);
        let step = &set.items(STEP)[0];
        assert_eq!(step.str(tags::SCHEDULED_STATION_AE_TITLE), "PYMOD1");
        assert_eq!(step.str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE), "20260105-");
        assert_eq!(step.text(tags::SCHEDULED_PROCEDURE_STEP_ID), Some(""));
        assert_eq!(set.text(tags::STUDY_INSTANCE_UID), Some(""));
        let all = ask(&["--station", "*"]);
        assert_eq!(all.items(STEP)[0].str(tags::SCHEDULED_STATION_AE_TITLE), "");
    }
}
