//! Connections that have not asked for anything yet: when there is no room, they make it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The silent connections of a listener, oldest first.
#[derive(Default)]
pub(crate) struct Silent {
    visits: Mutex<BTreeMap<u64, Arc<Visit>>>,
    number: AtomicU64,
}

#[derive(Default)]
struct Visit {
    spoke: AtomicBool,
    leave: Notify,
}

/// One connection; silent until it [`speaks`](Self::speaks).
pub(crate) struct Visitor {
    silent: Arc<Silent>,
    number: u64,
    visit: Arc<Visit>,
}

impl Silent {
    pub(crate) fn visitor(self: &Arc<Self>) -> Visitor {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let visit = Arc::new(Visit::default());
        self.lock().insert(number, visit.clone());
        Visitor { silent: self.clone(), number, visit }
    }

    /// Asks the one that has been silent longest to leave.
    pub(crate) fn make_room(&self) {
        if let Some((_, visit)) = self.lock().pop_first() {
            visit.leave.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Visit>>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    pub(crate) fn speaks(&self) {
        if !self.visit.spoke.swap(true, Ordering::Relaxed) {
            self.silent.lock().remove(&self.number);
        }
    }

    /// Ready when it has to leave; never once it has spoken.
    pub(crate) async fn told_to_leave(&self) {
        self.visit.leave.notified().await;
        if self.visit.spoke.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.silent.lock().remove(&self.number);
    }
}
