//! `pacslab find`: C-FIND at the levels of the query model. PS3.4 C.4.1, C.6.

use clap::ValueEnum;
use pacslab_dicom::{Dataset, dict};
use pacslab_dimse::Proposal;
use pacslab_model::{Level, Tag, Vr, tags, uids};

use crate::client::PeerArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::identifier;

/// Search a PACS (C-FIND)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// What is searched for
    #[arg(long, value_enum, default_value_t = LevelArg::Study)]
    level: LevelArg,
    /// A key: KEYWORD=VALUE with * ? ranges and \-separated lists; may be repeated
    #[arg(short, long = "key", value_name = "KEY=VALUE")]
    keys: Vec<String>,
    /// A further attribute to return; may be repeated
    #[arg(short, long = "return", value_name = "KEYWORD")]
    returns: Vec<String>,
    /// Patient's name, e.g. DOE*
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Patient ID
    #[arg(long, value_name = "TEXT")]
    patient_id: Option<String>,
    /// Accession number
    #[arg(long, value_name = "TEXT")]
    accession: Option<String>,
    /// Study date or range, e.g. 20260101-20260131
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Modality
    #[arg(long, value_name = "TEXT")]
    modality: Option<String>,
    /// Study Instance UID
    #[arg(long, alias = "study", value_name = "UID")]
    study_uid: Option<String>,
    /// Series Instance UID
    #[arg(long, value_name = "UID")]
    series_uid: Option<String>,
    /// Use the Patient Root model
    #[arg(long)]
    patient_root: bool,
    /// Stop after N matches (C-CANCEL)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    peer: PeerArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LevelArg {
    Patient,
    Study,
    Series,
    Image,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab find", "all studies of the embedded PACS"),
        ("pacslab find --name \"DOE*\" --modality CT", "CT studies of everybody called DOE"),
        ("pacslab find -k StudyDate=20260101- -r StudyID --json", "keys by keyword, as JSON"),
        ("pacslab find --level series --accession ACC1001", "the series of one order"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let target = self.peer.resolve(&config)?;
        let level = self.level();
        let (identifier, columns) = self.identifier()?;
        let root = if self.patient_root || level == Level::Patient {
            uids::PATIENT_ROOT_FIND
        } else {
            uids::STUDY_ROOT_FIND
        };
        let mut association = target.connect(Proposal::of(root)).await?;
        let limit = self.limit.unwrap_or(usize::MAX);
        let (found, reply) = association.find_all(root, &identifier, limit).await?;
        // the answers are here; how the peer takes the release is of no use to anybody
        let _ = association.release().await;
        let cut = reply.status == pacslab_dimse::Status::CANCEL && found.len() == limit;
        if !reply.status.is_success() && !cut {
            return Err(target.refused("C-FIND", &reply));
        }
        if context.out.json {
            context.out.json(&found.iter().map(identifier::plain_json).collect::<Vec<_>>());
        } else {
            let headings: Vec<&str> = columns.iter().map(|column| column.0.as_str()).collect();
            let row = |set: &Dataset| -> Vec<String> {
                columns.iter().map(|(_, path)| identifier::text(set, path)).collect()
            };
            let none = format!("{} knows nothing that matches", target.peer);
            context.out.table(&headings, found.iter().map(row).collect(), &none);
        }
        Ok(Exit::Done)
    }
}

type Column = (String, Vec<Tag>);

impl Args {
    fn level(&self) -> Level {
        match self.level {
            LevelArg::Patient => Level::Patient,
            LevelArg::Study => Level::Study,
            LevelArg::Series => Level::Series,
            LevelArg::Image => Level::Instance,
        }
    }

    /// The identifier, and the columns of its answers.
    fn identifier(&self) -> Result<(Dataset, Vec<Column>)> {
        let level = self.level();
        let mut set = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level.as_str());
        let modality =
            if level <= Level::Study { tags::MODALITIES_IN_STUDY } else { tags::MODALITY };
        for (tag, value) in [
            (tags::PATIENT_NAME, &self.name),
            (tags::PATIENT_ID, &self.patient_id),
            (tags::ACCESSION_NUMBER, &self.accession),
            (tags::STUDY_DATE, &self.date),
            (modality, &self.modality),
            (tags::STUDY_INSTANCE_UID, &self.study_uid),
            (tags::SERIES_INSTANCE_UID, &self.series_uid),
        ] {
            if let Some(value) = value {
                identifier::put(&mut set, &[tag], value)?;
            }
        }
        let mut asked = Dataset::new();
        for key in self.keys.iter().chain(&self.returns) {
            identifier::put_key(&mut set, key)?;
            identifier::put_key(&mut asked, key)?;
        }
        let mut columns: Vec<Column> = Vec::new();
        for (heading, tag) in columns_of(level) {
            identifier::put(&mut set, &[*tag], "")?;
            columns.push(((*heading).to_owned(), vec![*tag]));
        }
        for path in identifier::paths(&asked) {
            if columns.iter().all(|c| c.1 != path) {
                let heading = path.last().map(|tag| dict::name(*tag)).unwrap_or_default();
                columns.push((heading, path));
            }
        }
        Ok((set, columns))
    }
}

fn columns_of(level: Level) -> &'static [(&'static str, Tag)] {
    match level {
        Level::Patient => &[
            ("patient", tags::PATIENT_NAME),
            ("id", tags::PATIENT_ID),
            ("born", tags::PATIENT_BIRTH_DATE),
            ("sex", tags::PATIENT_SEX),
            ("studies", tags::NUMBER_OF_PATIENT_RELATED_STUDIES),
        ],
        Level::Study => &[
            ("patient", tags::PATIENT_NAME),
            ("id", tags::PATIENT_ID),
            ("accession", tags::ACCESSION_NUMBER),
            ("date", tags::STUDY_DATE),
            ("modality", tags::MODALITIES_IN_STUDY),
            ("description", tags::STUDY_DESCRIPTION),
            ("series", tags::NUMBER_OF_STUDY_RELATED_SERIES),
            ("images", tags::NUMBER_OF_STUDY_RELATED_INSTANCES),
            ("study uid", tags::STUDY_INSTANCE_UID),
        ],
        Level::Series => &[
            ("modality", tags::MODALITY),
            ("number", tags::SERIES_NUMBER),
            ("description", tags::SERIES_DESCRIPTION),
            ("images", tags::NUMBER_OF_SERIES_RELATED_INSTANCES),
            ("study uid", tags::STUDY_INSTANCE_UID),
            ("series uid", tags::SERIES_INSTANCE_UID),
        ],
        Level::Instance => &[
            ("number", tags::INSTANCE_NUMBER),
            ("sop class", tags::SOP_CLASS_UID),
            ("series uid", tags::SERIES_INSTANCE_UID),
            ("sop instance uid", tags::SOP_INSTANCE_UID),
        ],
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn asked(words: &[&str]) -> (Dataset, Vec<String>) {
        let args = Line::parse_from(["find"].iter().chain(words)).args;
        let (set, columns) = args.identifier().unwrap();
        (set, columns.into_iter().map(|c| c.0).collect())
    }

    #[test]
    fn options_and_keys_become_one_identifier() {
        let (set, columns) =
            asked(&["--name", "DOE*", "-k", "StudyDate=20260101-", "-r", "StudyID"]);
        assert_eq!(set.str(tags::QUERY_RETRIEVE_LEVEL), "STUDY");
        assert_eq!(set.str(tags::PATIENT_NAME), "DOE*");
        assert_eq!(set.str(tags::STUDY_DATE), "20260101-");
        assert_eq!(columns.last().unwrap(), "StudyID");
        let (set, _) = asked(&["--level", "image", "--modality", "CT"]);
        assert_eq!(set.str(tags::QUERY_RETRIEVE_LEVEL), "IMAGE");
        assert_eq!(set.str(tags::MODALITY), "CT");
    }
}
