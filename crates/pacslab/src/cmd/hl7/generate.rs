//! `pacslab hl7 generate`: an order as ORM^O01. HL7 v2.5.1 chapter 4, IHE RAD TF-2 4.4.

use std::path::PathBuf;

use pacslab_hl7::order::{Sending, build_orm};
use pacslab_hl7::{Charset, Message};
use pacslab_model::Clock;
use pacslab_model::order::OrderControl;

use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::order_args::OrderArgs;

/// Make an order message (ORM^O01)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One segment a line instead of carriage returns
    #[arg(long)]
    pretty: bool,
    #[command(flatten)]
    message: MessageArgs,
}

/// What the message says of itself and of its order.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MessageArgs {
    /// What is asked for: new, cancel, discontinue or change
    #[arg(long, default_value = "new", value_parser = control, value_name = "WORD")]
    control: OrderControl,
    /// Version of HL7
    #[arg(long, default_value = "2.3.1", value_name = "TEXT")]
    hl7_version: String,
    /// Character set of MSH-18
    #[arg(long, default_value = "UNICODE UTF-8", value_parser = charset, value_name = "NAME")]
    charset: Charset,
    /// Message control ID [default: made from the time]
    #[arg(long, value_name = "TEXT")]
    control_id: Option<String>,
    #[command(flatten)]
    order: OrderArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab hl7 generate --pretty", "the well-known order, to look at"),
        ("pacslab hl7 generate --accession ACC1002 --at now+1h --out order.hl7", "to a file"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let message = self.message.build(&config, &context.clock)?;
        let bytes = if self.pretty {
            format!("{}\n", crate::mllp::lines(&message.to_text())).into_bytes()
        } else {
            message.to_bytes()
        };
        if let Some(path) = &self.out {
            std::fs::write(path, &bytes).map_err(|error| Failure::file("write", path, &error))?;
        }
        if context.out.json {
            context.out.json(&serde_json::json!({
                "control_id": message.control_id(),
                "message": message.to_text(),
                "path": self.out.as_ref().map(|path| path.display().to_string()),
            }));
        } else if let Some(path) = &self.out {
            context.out.line(format!("{} ({} bytes)", path.display(), bytes.len()));
        } else {
            context.out.bytes(&bytes);
        }
        Ok(Exit::Done)
    }
}

impl MessageArgs {
    pub(crate) fn build(&self, config: &Config, clock: &dyn Clock) -> Result<Message> {
        let at = clock.now();
        let sending = Sending {
            app: "PACSLAB_RIS".to_owned(),
            facility: "PACSLAB".to_owned(),
            receiving_app: config.dicom.aet.to_string(),
            receiving_facility: "PACSLAB".to_owned(),
            version: self.hl7_version.clone(),
            control_id: self.control_id.clone().unwrap_or_else(|| format!("M{}", at.micros)),
            at,
            charset: self.charset,
        };
        Ok(build_orm(&self.order.order(config, clock)?, self.control, &sending))
    }
}

fn control(text: &str) -> std::result::Result<OrderControl, String> {
    match text.to_lowercase().as_str() {
        "new" | "nw" => Ok(OrderControl::New),
        "change" | "xo" => Ok(OrderControl::Change),
        "cancel" | "ca" => Ok(OrderControl::Cancel),
        "discontinue" | "dc" => Ok(OrderControl::Discontinue),
        _ => Err("new, change, cancel or discontinue is expected".to_owned()),
    }
}

fn charset(text: &str) -> std::result::Result<Charset, String> {
    Charset::by_name(text)
        .ok_or_else(|| "a name of HL7 table 0211, e.g. UNICODE UTF-8 or 8859/1".to_owned())
}
