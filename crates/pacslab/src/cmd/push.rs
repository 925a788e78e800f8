//! `pacslab push`: POST /modalities/NAME/store, and the job that comes of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::http::Server;
use crate::rest;

/// Let a PACS send something to a peer that it knows
///
/// The PACS sends; this command only asks for it and waits. Copies to other places are made so
/// without the images passing through this computer.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
#[command(group = clap::ArgGroup::new("what").required(true).args(["study_uid", "accession", "id"]))]
pub(crate) struct Args {
    /// What the PACS calls the peer: see `pacslab modality list`
    #[arg(value_name = "NAME")]
    to: String,
    /// Study Instance UID; of a series or an image will do as well
    #[arg(long, alias = "study", value_name = "UID")]
    study_uid: Option<String>,
    /// Accession number
    #[arg(long, value_name = "TEXT")]
    accession: Option<String>,
    /// Orthanc's identifier of a patient, study, series or image
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Do not wait until everything is sent
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab push PYNETSCP --accession ACC1001", "the embedded PACS sends the study"),
        (
            "pacslab push PYNETSCP --accession ACC1001 --url http://localhost:8042 --login orthanc:orthanc",
            "an Orthanc sends it",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let ids = self.ids(&server).await?;
        let job = rest::push(&server, &self.to, &ids).await?;
        if self.no_wait {
            match context.out.json {
                true => context.out.json(&json!({"job": job})),
                false => context.out.line(format!("job {job} is sending; see {}/jobs/{job}", server.url())),
            }
            return Ok(Exit::Done);
        }
        let ended = wait(&server, &job).await?;
        let content = &ended["Content"];
        let count = |key: &str| content[key].as_u64().unwrap_or(0);
        let (all, failed) = (count("InstancesCount"), count("FailedInstancesCount"));
        if ended["State"] != "Success" {
            let why = ended["ErrorDetails"].as_str().filter(|text| !text.is_empty());
            let why = why.or(ended["ErrorDescription"].as_str()).unwrap_or("it does not say why");
            return Err(Failure::failed(format!(
                "{} could not send it to {}: {why}",
                server.url(),
                self.to
            ))
            .hint(format!("`pacslab modality echo {}` asks whether the PACS reaches it", self.to)));
        }
        match context.out.json {
            true => context.out.json(content),
            false => context.out.line(format!(
                "{} sent {} of {all} instances to {}",
                content["LocalAet"].as_str().unwrap_or("the PACS"),
                all.saturating_sub(failed),
                self.to
            )),
        }
        Ok(if failed > 0 { Exit::Partly } else { Exit::Done })
    }
}

impl Args {
    async fn ids(&self, server: &Server) -> Result<Vec<String>> {
        if let Some(id) = &self.id {
            return Ok(vec![id.clone()]);
        }
        let (word, found) = match (&self.study_uid, &self.accession) {
            (Some(uid), _) => (uid.as_str(), rest::lookup(server, uid).await?),
            (None, Some(accession)) => (accession.as_str(), rest::studies(server, accession).await?),
            (None, None) => ("", Vec::new()),
        };
        let ids: Vec<String> = found.into_iter().map(|found| found.id).collect();
        if ids.is_empty() {
            return Err(Failure::failed(format!("{} has nothing of {word}", server.url()))
                .hint("`pacslab find` lists the studies that are there"));
        }
        Ok(ids)
    }
}

/// Asks for a job until it has ended.
async fn wait(server: &Server, job: &str) -> Result<Value> {
    const LONGEST: Duration = Duration::from_secs(1);
    let mut pause = Duration::from_millis(20);
    loop {
        let state = rest::get(server, &format!("/jobs/{job}")).await?;
        if state["State"] == "Success" || state["State"] == "Failure" {
            return Ok(state);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}
