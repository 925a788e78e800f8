//! `pacslab fhir export`: studies as FHIR R4 resources.
//!
//! What is exported is asked with C-FIND, which every PACS answers, or read from files, which tell
//! more about the order.

use std::io::Read;
use std::path::{Path, PathBuf};

use pacslab_dicom::{Dataset, Element, file};
use pacslab_dimse::{Association, Proposal};
use pacslab_fhir::Site;
use pacslab_model::{Clock, Level, Tag, Uid, Vr, tags, uids};

use crate::client::{PeerArgs, Target, reachable};
use crate::cmd::watch::SiteArgs;
use crate::department::scheme;
use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::export::{DOCUMENTS, Exported, Told, metadata, studies, study_uids, write};
use crate::http::Server;
use crate::identifier;
use crate::outbox::Outbox;

/// Export studies as FHIR R4 resources
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
#[command(group = clap::ArgGroup::new("what").required(true).args(["study_uid", "accession", "from"]))]
pub(crate) struct Args {
    /// Study Instance UID, asked of a PACS
    #[arg(long, alias = "study", value_name = "UID")]
    study_uid: Option<String>,
    /// Accession number, asked of a PACS
    #[arg(long, value_name = "TEXT")]
    accession: Option<String>,
    /// Files or a folder instead of a PACS
    #[arg(long, value_name = "PATH", num_args = 1..)]
    from: Vec<PathBuf>,
    /// Where files go [default: data/samples]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where the images can be had, for the Endpoint [default: http://localhost:8042/dicom-web]
    #[arg(long, value_name = "URL")]
    wado_url: Option<String>,
    /// Ask over DICOMweb (HTTP) instead of C-FIND: tells more about the order
    #[arg(long)]
    dicom_web: bool,
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    peer: PeerArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab fhir export --accession ACC1001", "asks the embedded PACS, writes data/samples"),
        ("pacslab fhir export --from data/samples --out fhir", "from files, without any PACS"),
        ("pacslab fhir export --accession ACC1001 --dicom-web", "asks over HTTP instead"),
        (
            "pacslab fhir export --accession ACC1001 --pacs ORTHANC@127.0.0.1:4242",
            "a study in an Orthanc",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let mut wado = self.wado_url.clone().unwrap_or_else(|| wado_url(&config));
        let headers = if !self.from.is_empty() {
            read(context, &self.from)?
        } else if self.dicom_web || self.site.url.is_some() {
            let server = self.site.server(&config)?;
            if self.wado_url.is_none() {
                wado = format!("{}{}", server.url(), server.dicom_web());
            }
            self.fetch(&server).await?
        } else {
            self.ask(context, &self.peer.resolve(&config)?).await?
        };
        let out = self.out.clone().unwrap_or_else(|| config.modality.out.clone());
        let site = Site::new(wado, context.clock.now().offset);
        let mut written = Vec::new();
        for told in &studies(&headers, None) {
            let exported = write(told, &site, &out)?;
            tell(context, told, &exported);
            written.push(json(told, &exported));
        }
        if context.out.json {
            context.out.json(&written);
        }
        Ok(Exit::Done)
    }
}

fn wado_url(config: &Config) -> String {
    let host = reachable(config.http.bind);
    let host = if config.http.bind.is_loopback() { "localhost".to_owned() } else { host };
    format!("{}://{host}:{}/dicom-web", scheme(config), config.http.port)
}

/// The headers of all DICOM files.
fn read(context: &Context<'_>, paths: &[PathBuf]) -> Result<Vec<Dataset>> {
    let outbox = Outbox::collect(paths);
    let mut headers = Vec::new();
    for item in &outbox.items {
        let (name, mut bytes) = (item.place.name(), Vec::new());
        item.place
            .open()
            .and_then(|mut source| source.read_to_end(&mut bytes))
            .map_err(|e| Failure::file("read", Path::new(&name), &e))?;
        match file::read_header(&bytes) {
            Ok((_, header)) => headers.push(header),
            Err(e) => context.out.warning(&format!("skipped {}: {e}", name)),
        }
    }
    if headers.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::failed(format!("there is no DICOM file in {}", paths.join(", "))));
    }
    Ok(headers)
}

const OF_STUDY: &[Tag] = &[
    tags::STUDY_INSTANCE_UID,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::ACCESSION_NUMBER,
    tags::STUDY_DESCRIPTION,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::REQUESTED_PROCEDURE_DESCRIPTION,
    tags::REQUESTING_PHYSICIAN,
];
const OF_SERIES: &[Tag] = &[
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::MODALITY,
    tags::SERIES_DESCRIPTION,
    tags::SERIES_DATE,
    tags::SERIES_TIME,
    tags::BODY_PART_EXAMINED,
    tags::LATERALITY,
    tags::STATION_NAME,
    tags::OPERATORS_NAME,
    tags::PERFORMING_PHYSICIAN_NAME,
];
const OF_INSTANCE: &[Tag] = &[tags::SOP_INSTANCE_UID, tags::SOP_CLASS_UID, tags::INSTANCE_NUMBER];

impl Args {
    /// Asks over DICOMweb.
    async fn fetch(&self, server: &Server) -> Result<Vec<Dataset>> {
        let uids = match (&self.study_uid, &self.accession) {
            (Some(uid), _) => vec![uid.clone()],
            (None, Some(accession)) => study_uids(server, accession).await?,
            (None, None) => Vec::new(),
        };
        let mut headers = Vec::new();
        for uid in &uids {
            headers.extend(metadata(server, uid).await?);
        }
        if headers.is_empty() {
            let what = self.study_uid.as_ref().or(self.accession.as_ref());
            let what = what.map_or("", String::as_str);
            return Err(Failure::failed(format!("{} has no images of {what}", server.url()))
                .hint("`pacslab find` lists the studies that are there"));
        }
        Ok(headers)
    }

    /// Asks with C-FIND.
    async fn ask(&self, context: &Context<'_>, target: &Target) -> Result<Vec<Dataset>> {
        let wanted = match (&self.study_uid, &self.accession) {
            (Some(uid), _) => (tags::STUDY_INSTANCE_UID, uid.as_str()),
            (None, accession) => (tags::ACCESSION_NUMBER, accession.as_deref().unwrap_or_default()),
        };
        let mut headers = ask(target, wanted).await?;
        if let Err(failure) = with_documents(target, &mut headers).await {
            let why = failure.message;
            context.out.remark(&format!(
                "there is a report, and it could not be had with C-GET: {why}; --dicom-web asks for it"
            ));
        }
        Ok(headers)
    }
}

/// Asks level by level, as PS3.4 C.4.1.2.1 wants it, and puts the answers together.
async fn ask(target: &Target, wanted: (Tag, &str)) -> Result<Vec<Dataset>> {
    let mut association = target.connect(Proposal::of(uids::STUDY_ROOT_FIND)).await?;
    let mut headers = Vec::new();
    let found = find(&mut association, target, Level::Study, &[wanted], OF_STUDY).await?;
    for study in &found {
        let uid = (tags::STUDY_INSTANCE_UID, study.str(tags::STUDY_INSTANCE_UID));
        for series in find(&mut association, target, Level::Series, &[uid], OF_SERIES).await? {
            let keys = [uid, (tags::SERIES_INSTANCE_UID, series.str(tags::SERIES_INSTANCE_UID))];
            let objects =
                find(&mut association, target, Level::Instance, &keys, OF_INSTANCE).await?;
            for mut object in objects {
                for element in series.iter().chain(study) {
                    if object.get(element.tag).is_none_or(Element::is_empty) {
                        object.put(element.clone());
                    }
                }
                headers.push(object);
            }
        }
    }
    // the answers are here; how the peer takes the release is of no use to anybody
    let _ = association.release().await;
    if headers.is_empty() {
        return Err(Failure::failed(format!("{} has no images of {}", target.peer, wanted.1))
            .hint("`pacslab find` lists the studies that are there"));
    }
    Ok(headers)
}

/// Fetches what answers to C-FIND cannot tell: the text of reports.
async fn with_documents(target: &Target, headers: &mut [Dataset]) -> Result<()> {
    let is_document = |header: &&mut Dataset| DOCUMENTS.contains(&header.str(tags::SOP_CLASS_UID));
    let documents: Vec<&mut Dataset> = headers.iter_mut().filter(is_document).collect();
    if documents.is_empty() {
        return Ok(());
    }
    let keys = [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID];
    let identifier = |of: &&mut Dataset| {
        let level = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "IMAGE");
        keys.iter().fold(level, |set, tag| set.with_str(*tag, Vr::UI, of.str(*tag)))
    };
    let identifiers: Vec<Dataset> = documents.iter().map(identifier).collect();
    let found = crate::retrieve::objects(target, &DOCUMENTS.map(Uid::from), &identifiers).await?;
    for document in documents {
        let uid = document.str(tags::SOP_INSTANCE_UID);
        if let Some(whole) = found.iter().find(|one| one.str(tags::SOP_INSTANCE_UID) == uid) {
            *document = whole.clone();
        }
    }
    Ok(())
}

async fn find(
    association: &mut Association,
    target: &Target,
    level: Level,
    keys: &[(Tag, &str)],
    returned: &[Tag],
) -> Result<Vec<Dataset>> {
    let mut set = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level.as_str());
    for (tag, value) in keys {
        identifier::put(&mut set, &[*tag], value)?;
    }
    for tag in returned {
        identifier::put(&mut set, &[*tag], "")?;
    }
    let (found, reply) = association.find_all(uids::STUDY_ROOT_FIND, &set, usize::MAX).await?;
    if !reply.status.is_success() {
        return Err(target.refused("C-FIND", &reply));
    }
    Ok(found)
}

fn tell(context: &Context<'_>, told: &Told, exported: &Exported) {
    let study = &told.study;
    for (kind, path) in &exported.files {
        let about = match *kind {
            "Patient" => study.patient.id.id.clone(),
            "ServiceRequest" => study.accession.clone(),
            "ImagingStudy" => {
                format!("{} series, {} instances", exported.series, exported.instances)
            }
            "DiagnosticReport" => exported.report.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let line = format!("{}  {}", path.display(), crate::output::printable(&about));
        context.out.say(line.trim_end());
    }
    if told.order.is_none() {
        context.out.remark("the images tell no accession number: no ServiceRequest");
    }
}

fn json(told: &Told, exported: &Exported) -> serde_json::Value {
    let study = &told.study;
    let files: serde_json::Map<String, serde_json::Value> = exported
        .files
        .iter()
        .map(|(kind, path)| ((*kind).to_owned(), path.display().to_string().into()))
        .collect();
    serde_json::json!({
        "study_uid": study.uid, "accession": study.accession, "patient_id": study.patient.id.id,
        "series": exported.series, "instances": exported.instances, "report": exported.report,
        "files": files,
    })
}
