//! `pacslab patient …`: the patients of a department, over its REST API.

use serde_json::{Map, Value};

use crate::cmd::order::text;
use crate::cmd::{Context, Example};
use crate::exit::Result;

/// Register, look at, change and merge patients
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

crate::cmd::commands! {
    Command {
        new: New,
        list: List,
        show: Show,
        update: Update,
        merge: Merge,
    }
}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[];

    async fn run(self, context: &Context<'_>) -> Result {
        self.command.run(context).await
    }

    fn examples() -> Vec<Example> {
        Command::examples()
    }
}

/// Who the patient is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The patient")]
pub(crate) struct PatientArgs {
    /// Who assigned the identifier
    #[arg(long, value_name = "TEXT")]
    issuer: Option<String>,
    /// Name, as FAMILY^GIVEN
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Birth date, as YYYYMMDD
    #[arg(long, value_name = "DATE")]
    birth_date: Option<String>,
    /// F, M or O
    #[arg(long, value_name = "SEX")]
    sex: Option<String>,
}

impl PatientArgs {
    pub(crate) fn json(&self) -> Map<String, Value> {
        let texts = [
            ("issuer", &self.issuer),
            ("name", &self.name),
            ("birth_date", &self.birth_date),
            ("sex", &self.sex),
        ];
        let told = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        told.map(|(name, text)| (name.to_owned(), text.as_str().into())).collect()
    }

    /// `?issuer=…` of an address.
    fn query(&self) -> String {
        match &self.issuer {
            Some(issuer) => format!("?issuer={}", crate::http::encode(issuer)),
            None => String::new(),
        }
    }
}

const HEADINGS: [&str; 6] = ["patient", "issuer", "name", "born", "sex", "presence"];

fn row(patient: &Value) -> Vec<String> {
    let parts = ["/id/id", "/id/issuer", "/name", "/birth_date", "/sex", "/presence"];
    parts.iter().map(|at| text(patient, at)).collect()
}

/// Tells what became of a patient.
fn tell(context: &Context<'_>, what: &str, patient: &Value) {
    if context.out.json {
        context.out.json(patient);
        return;
    }
    let (id, name) = (text(patient, "/id/id"), text(patient, "/name"));
    let orders = match patient["orders"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => "; 1 order says so".to_owned(),
        Some(many) => format!("; {many} orders say so"),
    };
    context.out.line(format!("patient {id} {what}: {name}{orders}"));
    for remark in patient["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        context.out.remark(&crate::output::printable(remark));
    }
}
