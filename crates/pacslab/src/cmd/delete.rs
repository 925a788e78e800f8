//! `pacslab delete`: takes studies, series, images or a patient out of a PACS, over its REST API.

use std::io::{BufRead, IsTerminal};

use serde_json::{Value, json};

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::http::Server;
use crate::rest::{self, Found};

/// Delete a study, a series, an image or a patient
///
/// Asks first. What is deleted is gone for good; sending it again makes it new.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
#[command(group = clap::ArgGroup::new("what").required(true).args(["word", "patient"]))]
pub(crate) struct Args {
    /// A UID of a study, series or image, or an accession number
    #[arg(value_name = "WORD")]
    word: Option<String>,
    /// Everything of the patient with this ID
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab delete ACC1009 --yes", "the studies of an accession number"),
        ("pacslab delete --patient P9 --yes", "all studies of a patient"),
        (
            "pacslab delete ACC1009 --yes --url http://localhost:8042 --login orthanc:orthanc",
            "from an Orthanc",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let (found, word) = self.found(&server).await?;
        if found.is_empty() {
            return Err(Failure::failed(format!("{} has nothing of {word}", server.url()))
                .hint("`pacslab find` lists the studies that are there"));
        }
        let mut images = 0;
        for one in &found {
            images += counted(&server, one).await?;
        }
        let kinds: Vec<&str> = found.iter().map(|one| one.kind.as_str()).collect();
        let what = match kinds.as_slice() {
            [kind] => format!("{} {word}", kind.to_lowercase()),
            many => format!("{} resources of {word}", many.len()),
        };
        if !self.yes {
            confirm(&format!("delete {what} with {images} images from {}?", server.url()))?;
        }
        for one in &found {
            server.ask("DELETE", &one.path(), None).await?.success()?;
        }
        match context.out.json {
            true => context.out.json(&json!({"deleted": kinds, "instances": images})),
            false => context.out.line(format!("deleted {what} with {images} images")),
        }
        Ok(Exit::Done)
    }
}

impl Args {
    /// What is meant, and how it was called.
    async fn found(&self, server: &Server) -> Result<(Vec<Found>, String)> {
        if let Some(id) = &self.patient {
            let mut found = rest::lookup(server, id).await?;
            found.retain(|one| one.kind == "Patient");
            return Ok((found, id.clone()));
        }
        let word = self.word.clone().unwrap_or_default();
        Ok((rest::named_so(server, &word).await?, word))
    }
}

/// How many images would go.
async fn counted(server: &Server, found: &Found) -> Result<u64> {
    if found.kind == "Instance" {
        return Ok(1);
    }
    let counts = rest::get(server, &format!("{}/statistics", found.path())).await?;
    let count = &counts["CountInstances"];
    // some versions write numbers as texts
    let text = count.as_str().and_then(|text| text.parse().ok());
    Ok(count.as_u64().or(text).unwrap_or(match counts { Value::Null => 0, _ => 1 }))
}

/// Asks on the terminal. Where nobody is, nothing is deleted.
fn confirm(question: &str) -> Result<()> {
    let input = std::io::stdin();
    let no = |why: &str| Failure::usage(format!("nothing was deleted: {why}"));
    if !input.is_terminal() {
        return Err(no("nobody is here to be asked").hint("--yes deletes without asking"));
    }
    anstream::eprint!("{question} [y/N] ");
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(|e| no(&format!("the answer cannot be read: {e}")))?;
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(no("the answer was not yes")),
    }
}
