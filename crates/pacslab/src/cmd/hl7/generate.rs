//! `pacslab hl7 generate`: an order as ORM^O01 (HL7 v2.5.1 chapter 4, IHE RAD TF-2 4.4), or what has
//! happened to a patient as ADT (chapter 3, IHE RAD TF-2 4.1 and 4.12).

use std::path::PathBuf;

use pacslab_hl7::adt::{Adt, AdtEvent, EVENTS, build_adt};
use pacslab_hl7::order::{Sending, build_orm};
use pacslab_hl7::{Charset, Message};
use pacslab_model::order::{Identifier, Order, OrderControl};
use pacslab_model::{Clock, Moment, PersonName, Seed};

use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::order_args::OrderArgs;

/// Make an order message (ORM^O01), or one about a patient (ADT)
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
    message: Box<MessageArgs>,
}

/// What the message says of itself and of its order.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MessageArgs {
    /// The event: ORM^O01 is the order, A08 or ADT^A08 and so on are about the patient
    #[arg(long, alias = "type", default_value = "ORM^O01", value_parser = kind, value_name = "EVENT")]
    event: Kind,
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
    /// With it the same words give the same message: its numbers come from the seed, its time is --at
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    adt: AdtArgs,
}

/// What messages about patients say beside the patient.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The patient's stay (ADT)")]
pub(crate) struct AdtArgs {
    /// Where the patient is: WARD^ROOM^BED
    #[arg(long, default_value = "WARD2^201^1", value_name = "PLACE")]
    location: String,
    /// Where the patient was before (A02, A06, A07, A12)
    #[arg(long, default_value = "WARD1^101^1", value_name = "PLACE")]
    prior_location: String,
    /// Number of the stay [default: V1001, or from the seed]
    #[arg(long, value_name = "TEXT")]
    visit: Option<String>,
    /// The patient ID that is replaced (A40, A47)
    #[arg(long, default_value = "TEMP0001", value_name = "TEXT")]
    prior_id: String,
    /// The name that went with it (A40)
    #[arg(long, default_value = "DOE^UNKNOWN", value_name = "NAME")]
    prior_name: String,
    /// An allergy; may be repeated
    #[arg(long, value_name = "TEXT")]
    allergy: Vec<String>,
}

/// What a message is about.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Order,
    Patient(&'static AdtEvent),
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab hl7 generate --pretty", "the well-known order, to look at"),
        ("pacslab hl7 generate --accession ACC1002 --at now+1h --out order.hl7", "to a file"),
        ("pacslab hl7 generate --event A08 --name DOE^JANET --pretty", "a patient has a new name"),
        (
            "pacslab hl7 generate --event ADT^A40 --prior-id TEMP0001 --seed 7 --at 2026-01-05T08:00",
            "two patients are one; the same bytes each time",
        ),
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
        let order = self.order.order(config, clock)?;
        let (numbers, at) = match (self.seed, self.event) {
            (Some(seed), _) => (number(seed), self.order.at.moment(clock)),
            (None, Kind::Order) => (clock.now().micros.unsigned_abs(), clock.now()),
            (None, Kind::Patient(_)) => (clock.now().micros.unsigned_abs(), self.happened(clock)),
        };
        let sending = Sending {
            app: "PACSLAB_RIS".to_owned(),
            facility: "PACSLAB".to_owned(),
            receiving_app: config.dicom.aet.to_string(),
            receiving_facility: "PACSLAB".to_owned(),
            version: self.hl7_version.clone(),
            control_id: self.control_id.clone().unwrap_or_else(|| format!("M{numbers}")),
            at,
            charset: self.charset,
        };
        match self.event {
            Kind::Order => Ok(build_orm(&order, self.control, &sending)),
            Kind::Patient(event) => self.patient(event, order, &sending),
        }
    }

    fn patient(&self, event: &'static AdtEvent, order: Order, sending: &Sending) -> Result<Message> {
        let Order { mut patient, mut visit, .. } = order;
        let said = &self.adt;
        if event.merges() && said.prior_id == patient.id.id {
            let text = format!("{} is to replace itself: --prior-id and --patient-id are the same", said.prior_id);
            return Err(Failure::usage(text).hint("give the old one with --prior-id, the one that stays with --patient-id"));
        }
        patient.allergies = said.allergy.join("\\");
        let usual = || match self.seed {
            Some(seed) => format!("V{:06}", number(seed) % 1_000_000),
            None => "V1001".to_owned(),
        };
        visit.admission = Identifier::new(said.visit.clone().unwrap_or_else(usual), "PACSLAB");
        visit.location.clone_from(&said.location);
        // the event says which class the stay has
        visit.class.clear();
        let name = if event.code == "A40" { said.prior_name.as_str() } else { "" };
        Ok(build_adt(
            &Adt {
                event,
                patient: &patient,
                visit: &visit,
                prior_location: &said.prior_location,
                prior_id: &Identifier::new(&said.prior_id, "PACSLAB"),
                prior_name: &PersonName::new(name),
            },
            sending,
        ))
    }

    /// When it happened: orders lie ahead, and what is said about a patient has been.
    fn happened(&self, clock: &dyn Clock) -> Moment {
        match self.order.at == OrderArgs::usual_time() {
            true => clock.now(),
            false => self.order.at.moment(clock),
        }
    }
}

/// A number of up to 15 digits for a seed.
fn number(seed: u64) -> u64 {
    let bytes = Seed(seed).stream(&["hl7"]);
    bytes.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) % 1_000_000_000_000_000
}

fn kind(text: &str) -> std::result::Result<Kind, String> {
    if ["ORM^O01", "O01", "ORM"].iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(Kind::Order);
    }
    AdtEvent::by_code(text).map(Kind::Patient).ok_or_else(|| {
        let known: Vec<String> =
            EVENTS.iter().map(|event| format!("{} ({})", event.code, event.means)).collect();
        format!("ORM^O01 is expected, or an event of ADT: {}", known.join(", "))
    })
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
