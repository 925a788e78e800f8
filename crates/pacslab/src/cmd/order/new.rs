//! `pacslab order new`: POST /ris/orders.

use serde_json::{Value, json};

use super::wish::WishArgs;
use super::{ask, tell};
use crate::cmd::patient::PatientArgs;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// Order an exam
///
/// Station and room follow from the exam by `worklist.stations`, the numbers are the department's.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Accession number [default: the next of the department]
    #[arg(long, value_name = "TEXT")]
    accession: Option<String>,
    /// Requested procedure id [default: the next]; another one than that of an order with this
    /// accession number makes a further procedure of it
    #[arg(long, value_name = "ID")]
    procedure: Option<String>,
    /// Patient ID; who is known needs no more
    #[arg(long, value_name = "TEXT")]
    patient_id: String,
    #[command(flatten)]
    patient: PatientArgs,
    #[command(flatten)]
    wish: WishArgs,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        (
            "pacslab order new --accession ACC2001 --exam CTCHW --patient-id P12345 --name DOE^JANE",
            "a CT of the chest, now, on the scanner that the rules give it",
        ),
        (
            "pacslab order new --accession ACC2002 --exam MRBRWO --patient-id P12345 --at now+2h --station MR1",
            "in two hours, on a scanner of your choice",
        ),
        (
            "pacslab order new --accession ACC2002 --procedure RP2 --exam CTSINUS --patient-id P12345",
            "another procedure of the same order: a study and steps of its own",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let mut wish = self.wish.json(&context.clock);
        if let Some(accession) = &self.accession {
            wish.insert("accession".to_owned(), accession.as_str().into());
        }
        if let Some(procedure) = &self.procedure {
            wish.insert("procedure".to_owned(), procedure.as_str().into());
        }
        let mut patient = self.patient.json();
        patient.insert("id".to_owned(), self.patient_id.as_str().into());
        wish.insert("patient".to_owned(), Value::Object(patient));
        let made = ask(&server, "POST", "/ris/orders", Some(json!(wish))).await?;
        let again = made["done"] == "repeated";
        tell(context, if again { "is there already" } else { "placed" }, &made);
        Ok(Exit::Done)
    }
}
