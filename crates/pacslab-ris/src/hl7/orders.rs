//! ORM, OMG and OMI: orders. HL7 v2.5.1 chapter 4; IHE RAD TF-2 4.2 to 4.4 and 4.13.

use pacslab_hl7::order::OrderRequest;
use pacslab_hl7::response::Settled;
use pacslab_hl7::{Code, Finding, Severity};
use pacslab_model::order::{OrderChange, OrderControl};

use super::{Refused, Story, of_the_header, patients};
use crate::orders::{Applied, Done, Work};

/// Every order of the message, or none; gives what the sender is told, and what became of each.
pub(super) fn apply(
    work: &Work<'_>,
    requests: Vec<OrderRequest>,
    imaging: bool,
    story: &mut Story,
) -> Result<(Vec<Finding>, Vec<Settled>), Refused> {
    let (mut told, mut settled) = (Vec::new(), Vec::new());
    for request in requests {
        let code = request.code.clone();
        let cleared = match request.control {
            OrderControl::Change => request.cleared.clone(),
            // a new order has nothing to delete, the others only name theirs
            _ => Vec::new(),
        };
        let change = OrderChange::from(request);
        let named: Vec<String> = change.order.steps.iter().map(|step| step.id.clone()).collect();
        if story.ids.is_empty() {
            story.ids = crate::orders::identifiers(&change.order);
        }
        let number = change.order.accession.clone();
        let read = change.remarks.clone();
        let applied = work.apply(change).and_then(|applied| {
            let order = work.clear(applied.order, &cleared)?;
            Ok(Applied { order, ..applied })
        });
        match applied {
            Ok(applied) => {
                story.ids = crate::orders::identifiers(&applied.order);
                work.patient_of(&applied.order)
                    .map_err(|refused| patients::told(refused, story))?;
                let what = match applied.done {
                    Done::Created => "created",
                    Done::Changed => "changed",
                    Done::Repeated => "was so already",
                };
                story.said.push(format!("order {} {what}", applied.order.shown()));
                let filled = applied.remarks.iter().filter(|remark| !read.contains(remark));
                told.extend(filled.map(|remark| Finding {
                    severity: Severity::Warning,
                    ..Finding::error("ORC", 1, Code::Accepted, remark)
                }));
                story.said.extend(applied.remarks);
                let mut order = applied.order;
                // of an order with many steps those that the message is about
                if order.steps.iter().any(|step| named.contains(&step.id)) {
                    order.steps.retain(|step| named.contains(&step.id));
                }
                settled.push(Settled { code, order });
            }
            Err(refused) => {
                story.said.push(format!("order {number}: {refused}"));
                return Err(Refused::Sender(vec![of_the_header(refused.finding(imaging))]));
            }
        }
    }
    Ok((told, settled))
}
