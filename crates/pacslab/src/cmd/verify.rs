//! `pacslab verify`: what a PACS holds of a UID, counted, over its REST API.

use serde_json::{Value, json};

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::http::Server;
use crate::rest::{self, Found};

/// Count what a PACS holds of a study, series or image
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// A UID or an accession number
    #[arg(value_name = "WORD")]
    word: String,
    /// Fail unless there are exactly so many images
    #[arg(long, value_name = "N")]
    images: Option<u64>,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab verify ACC1001", "studies, series and images of an accession number"),
        (
            "pacslab verify ACC1001 --url http://localhost:8042 --login orthanc:orthanc",
            "asks an Orthanc",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let found = rest::named_so(&server, &self.word).await?;
        if found.is_empty() {
            return Err(Failure::failed(format!("{} has nothing of {}", server.url(), self.word))
                .hint("`pacslab find` lists the studies that are there"));
        }
        let mut all = Vec::new();
        for one in &found {
            all.push(Held::read(&server, one).await?);
        }
        let images: u64 = all.iter().map(|held| held.images).sum();
        if context.out.json {
            context.out.json(&all.iter().map(Held::json).collect::<Vec<_>>());
        } else {
            let headings = ["what", "UID", "modality", "description", "series", "images"];
            let rows = all.iter().flat_map(Held::rows).collect();
            context.out.table(&headings, rows, "nothing");
        }
        match self.images {
            Some(wanted) if wanted != images => Err(Failure::failed(format!(
                "{} has {images} images of {}, {wanted} were expected",
                server.url(),
                self.word
            ))),
            _ => Ok(Exit::Done),
        }
    }
}

/// A resource with what is below it.
struct Held {
    kind: String,
    id: String,
    uid: String,
    tags: Value,
    images: u64,
    series: Vec<Held>,
}

impl Held {
    async fn read(server: &Server, found: &Found) -> Result<Self> {
        let one = rest::get(server, &found.path()).await?;
        let mut held = Self::of(found, &one);
        if found.kind == "Study" {
            // one request for each series: Orthanc's study names its series and counts nothing
            for id in one["Series"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let found = Found { id: id.to_owned(), kind: "Series".to_owned() };
                held.series.push(Self::of(&found, &rest::get(server, &found.path()).await?));
            }
            held.images = held.series.iter().map(|series| series.images).sum();
        }
        Ok(held)
    }

    fn of(found: &Found, one: &Value) -> Self {
        let tags = one["MainDicomTags"].clone();
        let key = match found.kind.as_str() {
            "Study" => "StudyInstanceUID",
            "Series" => "SeriesInstanceUID",
            _ => "SOPInstanceUID",
        };
        Self {
            kind: found.kind.clone(),
            id: found.id.clone(),
            uid: tags[key].as_str().unwrap_or_default().to_owned(),
            tags,
            images: one["Instances"].as_array().map_or(u64::from(found.kind == "Instance"), |all| all.len() as u64),
            series: Vec::new(),
        }
    }

    fn tag(&self, name: &str) -> &str {
        self.tags[name].as_str().unwrap_or_default()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let description = match self.kind.as_str() {
            "Study" => self.tag("StudyDescription"),
            _ => self.tag("SeriesDescription"),
        };
        let series = if self.kind == "Study" { self.series.len().to_string() } else { String::new() };
        let mut rows = vec![vec![
            self.kind.clone(),
            self.uid.clone(),
            self.tag("Modality").to_owned(),
            description.to_owned(),
            series,
            self.images.to_string(),
        ]];
        rows.extend(self.series.iter().flat_map(Self::rows));
        rows
    }

    fn json(&self) -> Value {
        let mut object = json!({
            "level": self.kind, "id": self.id, "uid": self.uid, "instances": self.images,
        });
        if self.kind == "Study" {
            object["series"] = self.series.iter().map(Self::json).collect();
        } else if self.kind == "Series" {
            object["modality"] = self.tag("Modality").into();
        }
        object
    }
}
