//! `pacslab order …`: the orders of a department, over its REST API.

mod wish;

use serde_json::Value;

use crate::cmd::{Context, Example};
use crate::exit::{Failure, Result};
use crate::http::{Answer, Server, reason_in};

/// Order exams, and look at, change or cancel orders
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
        change: Change,
        cancel: Cancel,
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

/// `?procedure=RP2` of an address.
pub(crate) fn of_procedure(id: Option<&str>) -> String {
    id.map(|id| format!("?procedure={}", crate::http::encode(id))).unwrap_or_default()
}

/// Asks the RIS: what it answers, or why it does not.
pub(crate) async fn ask(
    server: &Server,
    method: &'static str,
    path: &str,
    body: Option<Value>,
) -> Result<Value> {
    let text = body.map(|body| body.to_string());
    let body = text.as_ref().map(|text| ("application/json", text.as_bytes()));
    let answer: Answer = server.ask(method, path, body).await?;
    if matches!(answer.status(), 400 | 404 | 409) {
        let reason = reason_in(&answer.body);
        let reason = if reason.is_empty() { format!("{path} is not there") } else { reason };
        return Err(Failure::failed(reason));
    }
    answer.json()
}

/// A text of an answer, by the path to it.
pub(crate) fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        Some(Value::String(text)) => crate::output::printable(text),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// `20260105 0800 CT1`, of the step that waits, else of the first.
fn step(order: &Value) -> [String; 3] {
    let steps = order["steps"].as_array().cloned().unwrap_or_default();
    let waits = |step: &&Value| {
        matches!(step["status"].as_str(), Some("SCHEDULED" | "ARRIVED" | "READY" | "STARTED"))
    };
    let Some(step) = steps.iter().find(waits).or(steps.first()) else { return Default::default() };
    let time = text(step, "/start_time");
    let when = format!("{} {}", text(step, "/start_date"), time.get(..4).unwrap_or(&time));
    [when, text(step, "/modality"), text(step, "/station")]
}

/// One line of a list.
fn row(order: &Value) -> Vec<String> {
    let [when, modality, station] = step(order);
    vec![
        text(order, "/accession"),
        text(order, "/state"),
        when,
        modality,
        station,
        text(order, "/patient/id/id"),
        text(order, "/patient/name"),
        text(order, "/procedure/description"),
    ]
}

const HEADINGS: [&str; 8] =
    ["accession", "state", "when", "modality", "station", "patient", "name", "exam"];

/// Tells what became of an order.
fn tell(context: &Context<'_>, what: &str, order: &Value) {
    if context.out.json {
        context.out.json(order);
        return;
    }
    let [when, modality, station] = step(order);
    let exam = text(order, "/procedure/description");
    let mut accession = text(order, "/accession");
    if order["further"] == true {
        accession = format!("{accession}, procedure {}", text(order, "/procedure/id"));
    }
    context.out.line(format!("order {accession} {what}: {exam}, {modality} on {station}, {when}"));
    for remark in order["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        context.out.remark(&crate::output::printable(remark));
    }
}
