//! What the archive has to do because of what the department learned. IHE RAD TF-2 4.12 (RAD-12).
//!
//! The RIS knows no archive: it leaves what follows for it on the desk, in the transaction that it
//! follows from, and whoever has both takes it from there. Done twice it is the same.

use pacslab_model::order::{Identifier, Patient};
use pacslab_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::drawer::Drawer;
use crate::orders::{Ris, Work};

/// One thing for the archive to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refile {
    /// Studies of `from` belong to `patient`.
    Merge { from: Identifier, patient: Patient },
    /// Studies of `patient` say what is known of them now.
    Describe { patient: Patient },
}

const TODO: Drawer<Refile> = Drawer::new("refile");

impl Ris {
    /// What is still to be done, oldest first, each with its key for [`Ris::refiled`].
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn refiles(&self, limit: usize) -> Result<Vec<(String, Refile)>, StoreError> {
        TODO.after(&*self.desk, "", limit)
    }

    /// It has been done, durably.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn refiled(&self, key: &str) -> Result<(), StoreError> {
        TODO.remove(&*self.desk, key).map(drop)
    }

    /// Answers when there may be something to do, and at once when something came since the last
    /// time.
    pub async fn to_refile(&self) {
        self.refiling.notified().await;
    }
}

impl Work<'_> {
    /// Leaves something for the archive to do.
    pub(crate) fn refile(&self, what: &Refile) -> Result<(), StoreError> {
        let number = self.papers().next_number("refile")?;
        self.wake_refiling();
        TODO.put(self.papers(), &format!("{number:020}"), what, self.now())
    }
}
