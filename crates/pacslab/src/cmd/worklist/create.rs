//! `pacslab worklist create`: a worklist item as `.wl` file. PS3.4 K.6.1.2.2.

use std::path::PathBuf;

use pacslab_model::order::StepStatus;
use pacslab_ris::worklist::file;

use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::order_args::OrderArgs;

/// Write a worklist item (.wl)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The worklist folder [default: worklists]
    #[arg(long, value_name = "DIR")]
    worklists: Option<PathBuf>,
    #[command(flatten)]
    order: OrderArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab worklist create", "writes worklists/ACC1001.wl: DOE^JANE, CT, in ten minutes"),
        (
            "pacslab worklist create --accession ACC1004 --patient-id P67890 --name ROE^JOHN --sex M",
            "another item; Orthanc and DCMTK serve it, too",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let folder = self.worklists.unwrap_or_else(|| config.worklist.dir.clone());
        let order = self.order.order(&config, &context.clock)?;
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::file("make the folder", &folder, &error))?;
        for step in &order.steps {
            let written = file::write(&folder, &order, step, StepStatus::Scheduled)
                .map_err(|error| Failure::failed(error.to_string()))?;
            let path = folder.join(&written.name);
            if let Some(taken) = &written.instead_of {
                context.out.remark(&format!("{taken} belongs to somebody else and was left alone"));
            }
            if context.out.json {
                context.out.json(&serde_json::json!({
                    "path": path.display().to_string(), "accession": order.accession,
                    "study_uid": order.procedure.study_uid, "station": step.station,
                    "start": format!("{}{}", step.start_date, step.start_time),
                    "changed": written.changed,
                }));
            } else {
                context.out.line(format!(
                    "{}  {} {} for {} at {} {}",
                    path.display(),
                    order.accession,
                    order.patient.name,
                    step.station,
                    step.start_date,
                    step.start_time
                ));
            }
        }
        Ok(Exit::Done)
    }
}
