//! `pacslab hl7 generate`: an order as ORM^O01, OMG^O19 or OMI^O23 (HL7 v2.5.1 chapter 4, IHE RAD TF-2
//! 4.4), what has happened to a patient as ADT (chapter 3, 4.1 and 4.12), a report as ORU^R01 (chapter 7,
//! 4.28), an appointment as SIU (chapter 10, 4.48).

use std::path::PathBuf;

use pacslab_hl7::adt::{Adt, AdtEvent, EVENTS, build_adt};
use pacslab_hl7::incoming::{Appointment, AppointmentAction};
use pacslab_hl7::write::{OrderForm, Sending, build_order, build_siu};
use pacslab_hl7::{Charset, Message};
use pacslab_model::order::{Identifier, Order, StepStatus};
use pacslab_model::{Clock, Moment, PersonName, Seed};

use crate::cmd::hl7::report::ReportArgs;
use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::order_args::OrderArgs;

/// Make a message: an order, or one about a patient, a report or an appointment
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
    /// What it is about: ORM^O01, OMG^O19 or OMI^O23 (orders), A08 or ADT^A08 and so on (patients), ORU^R01 (reports), SIU^S12, S13, S14, S15, S26 (appointments)
    #[arg(long, alias = "type", default_value = "ORM^O01", value_parser = kind, value_name = "EVENT")]
    event: Kind,
    /// What is asked for or told of an order: new, change, cancel, discontinue, status (of --step-status), or withdrawn (by the department that has it)
    #[arg(long, default_value = "new", value_parser = control, value_name = "WORD")]
    control: &'static str,
    /// The state that --control status tells: scheduled, started, completed or discontinued
    #[arg(long, default_value = "started", value_parser = step_status, value_name = "WORD")]
    step_status: StepStatus,
    /// Version of HL7 [default: 2.3.1 for ORM and ADT, else 2.5.1]
    #[arg(long, value_name = "TEXT")]
    hl7_version: Option<String>,
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
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    appointment: AppointmentArgs,
}

/// What messages about appointments say beside the order.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The appointment (SIU)")]
pub(crate) struct AppointmentArgs {
    /// Number of the appointment
    #[arg(long, default_value = "APT1001", value_name = "TEXT")]
    appointment: String,
    /// How long it takes
    #[arg(long, default_value = "20", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
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
    Order(OrderForm),
    Patient(&'static AdtEvent),
    Report,
    Appointment(AppointmentAction),
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab hl7 generate --pretty", "the well-known order, to look at"),
        ("pacslab hl7 generate --accession ACC1002 --at now+1h --out order.hl7", "to a file"),
        ("pacslab hl7 generate --event OMI^O23 --control change --at now+3h", "to an image manager: later"),
        ("pacslab hl7 generate --control status --step-status completed", "the exam has been done"),
        ("pacslab hl7 generate --event ORU^R01 --impression Normal --pretty", "a signed report"),
        ("pacslab hl7 generate --event SIU^S15 --pretty", "an appointment is cancelled"),
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
            (None, Kind::Patient(_) | Kind::Report) => {
                (clock.now().micros.unsigned_abs(), self.happened(clock))
            }
            (None, _) => (clock.now().micros.unsigned_abs(), clock.now()),
        };
        let sending = Sending {
            app: "PACSLAB_RIS".to_owned(),
            facility: "PACSLAB".to_owned(),
            receiving_app: config.dicom.aet.to_string(),
            receiving_facility: "PACSLAB".to_owned(),
            version: self.version()?,
            control_id: self.control_id.clone().unwrap_or_else(|| format!("M{numbers}")),
            at,
            charset: self.charset,
        };
        match self.event {
            Kind::Order(form) => Ok(build_order(form, &self.told(order), self.control, &sending)),
            Kind::Patient(event) => self.patient(event, order, &sending),
            Kind::Report => self.report.build(order, &sending),
            Kind::Appointment(action) => {
                let number = Identifier::new(&self.appointment.appointment, "PACSLAB");
                let minutes = self.appointment.minutes;
                let appointment =
                    Appointment::of_order(action, number.clone(), number, order, minutes);
                Ok(build_siu(&appointment, &sending))
            }
        }
    }

    /// The order with its steps in the state that is told.
    fn told(&self, mut order: Order) -> Order {
        if self.control == "SC" {
            order.steps.iter_mut().for_each(|step| step.status = self.step_status);
        }
        order
    }

    fn version(&self) -> Result<String> {
        let usual = match self.event {
            Kind::Order(OrderForm::Orm) | Kind::Patient(_) => "2.3.1",
            _ => "2.5.1",
        };
        let version = self.hl7_version.clone().unwrap_or_else(|| usual.to_owned());
        let number = |text: &str| -> Vec<u32> {
            text.split('.').map(|part| part.parse().unwrap_or_default()).collect()
        };
        if let Kind::Order(form) = self.event
            && number(&version) < number(form.since())
        {
            let kind = form.kind().split('_').next().unwrap_or_default();
            let kind = kind.rsplit_once('^').map_or(kind, |(kind, _)| kind);
            let text = format!("--hl7-version {version} has no {kind}");
            let hint = format!("{kind} came with {}; ORM^O01 is in all versions", form.since());
            return Err(Failure::usage(text).hint(hint));
        }
        Ok(version)
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
    let wanted = text.trim().to_ascii_uppercase();
    let event = wanted.rsplit('^').next().unwrap_or_default();
    match wanted.as_str() {
        "ORM^O01" | "O01" | "ORM" => return Ok(Kind::Order(OrderForm::Orm)),
        "OMG^O19" | "O19" | "OMG" => return Ok(Kind::Order(OrderForm::Omg)),
        "OMI^O23" | "O23" | "OMI" => return Ok(Kind::Order(OrderForm::Omi)),
        "ORU^R01" | "R01" | "ORU" => return Ok(Kind::Report),
        _ if !wanted.contains('^') || wanted.starts_with("SIU^") => {
            if let Some(action) = AppointmentAction::of_event(event) {
                return Ok(Kind::Appointment(action));
            }
        }
        _ => {}
    }
    AdtEvent::by_code(text).map(Kind::Patient).ok_or_else(|| {
        let patients = EVENTS.iter().map(|event| (event.code, event.means));
        let appointments = AppointmentAction::ALL.map(|action| (action.event(), action.means()));
        let known: Vec<String> =
            patients.chain(appointments).map(|(code, means)| format!("{code} ({means})")).collect();
        let known = known.join(", ");
        format!("ORM^O01, OMG^O19, OMI^O23 or ORU^R01 is expected, or an event of ADT or SIU: {known}")
    })
}

/// ORC-1
fn control(text: &str) -> std::result::Result<&'static str, String> {
    match text.to_lowercase().as_str() {
        "new" | "nw" => Ok("NW"),
        "change" | "xo" => Ok("XO"),
        "cancel" | "ca" => Ok("CA"),
        "discontinue" | "dc" => Ok("DC"),
        "status" | "sc" => Ok("SC"),
        "withdrawn" | "oc" => Ok("OC"),
        _ => Err("new, change, cancel, discontinue, status or withdrawn is expected".to_owned()),
    }
}

fn step_status(text: &str) -> std::result::Result<StepStatus, String> {
    let told = [
        StepStatus::Scheduled,
        StepStatus::Started,
        StepStatus::Completed,
        StepStatus::Discontinued,
    ];
    told.into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "scheduled, started, completed or discontinued is expected".to_owned())
}

fn charset(text: &str) -> std::result::Result<Charset, String> {
    Charset::by_name(text)
        .ok_or_else(|| "a name of HL7 table 0211, e.g. UNICODE UTF-8 or 8859/1".to_owned())
}
