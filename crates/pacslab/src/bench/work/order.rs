//! HL7 orders: ORM^O01 to its acknowledgement, each with numbers of its own. HL7 v2.3.1 chapter 4.

use std::sync::Arc;

use pacslab_model::Clock;
use pacslab_ris::mllp::MllpClient;

use super::{At, workflow, worklist};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::clock::SystemClock;

#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) at: Arc<At>,
    /// Who takes the orders.
    pub(crate) hl7: String,
}

impl Workload for Order {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let (at, timeout) = (self.at.clone(), self.at.site.target.timeout);
            let orders = workflow::connect(&self.hl7, timeout).await?;
            let worker: Box<dyn Worker> = Box::new(Placing { at, orders });
            Ok(worker)
        })
    }
}

struct Placing {
    at: Arc<At>,
    orders: MllpClient,
}

impl Worker for Placing {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let study = self.at.next_study();
            let order = worklist::order_to_find(&self.at, study, SystemClock.now());
            workflow::send(&mut self.orders, &self.at, &order).await?;
            Ok(Done { bytes: order.len() as u64, objects: 1, ..Done::default() })
        })
    }
}
