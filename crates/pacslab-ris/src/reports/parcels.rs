//! What a signed report becomes for the PACS: objects that are to be sent there, each until it is
//! taken. PS3.4 B; IHE RAD TF-2 4.24 (RAD-24).
//!
//! A parcel is put on the desk in the transaction of the signature, with all that was signed. Its
//! object is made once and kept with it, so that whatever is sent again is the same. What the PACS
//! refuses stays as a dead parcel, which somebody may send again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pacslab_model::Uid;
use pacslab_model::order::Order;
use pacslab_store::{StoreError, together};
use serde::{Deserialize, Serialize};

use super::{REPORTS, ReportRecord, order_of};
use crate::drawer::Drawer;
use crate::orders::{Ris, Work};

/// An object on its way to the PACS.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Parcel {
    /// In this order they leave.
    pub number: u64,
    pub what: ParcelKind,
    /// The report as it was signed.
    pub report: ReportRecord,
    /// Its key.
    of: String,
    /// Which of the documents, from 1; 0: it is the text.
    pub document: u32,
    /// The document: Base64.
    content: String,
    /// The object as it is sent, once it has been made: Base64.
    object: String,
    /// How often it has been tried in vain.
    pub tries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParcelKind {
    /// The text, as a structured report.
    Text,
    /// A PDF that came with it.
    Document,
}

/// How far an object of a report is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReportObject {
    pub number: u64,
    pub what: ParcelKind,
    pub sop_instance: Uid,
    pub state: ObjectState,
    /// Who has it, or is to have it.
    pub peer: String,
    /// What came of the last try.
    pub problem: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectState {
    Waiting,
    Sent,
    /// It will not be sent unless somebody says so.
    Refused,
}

const WAITING: Drawer<Parcel> = Drawer::new("report to send");
const DEAD: Drawer<Parcel> = Drawer::new("report not taken");

impl Parcel {
    /// The document as it came.
    pub fn content(&self) -> Vec<u8> {
        STANDARD.decode(&self.content).unwrap_or_default()
    }

    /// The object as it was made: a Part 10 file.
    pub fn object(&self) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(&self.object).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }

    fn key(&self) -> String {
        format!("{:020}", self.number)
    }
}

impl Work<'_> {
    /// What a signed report leads to.
    pub(super) fn report_follows(
        &self,
        at: &str,
        record: &mut ReportRecord,
        documents: &[&[u8]],
    ) -> Result<(), StoreError> {
        // of what was signed before, only what is not there yet is told
        let open = |object: &ReportObject| object.state != ObjectState::Sent;
        record.objects.retain(open);
        let mut wanted = Vec::new();
        if record.is_object() {
            wanted.push((ParcelKind::Text, 0, &[][..]));
        }
        if record.state.is_signed() {
            let with = record.documents.iter().zip(documents).zip(1..);
            let pdfs = with.filter(|((document, _), _)| document.media_type == "application/pdf");
            wanted.extend(pdfs.map(|((_, bytes), at)| (ParcelKind::Document, at, *bytes)));
        }
        for (what, document, content) in wanted {
            let number = self.papers().next_number("report to send")?;
            record.objects.push(ReportObject {
                number,
                what,
                sop_instance: Uid::default(),
                state: ObjectState::Waiting,
                peer: String::new(),
                problem: String::new(),
            });
            let parcel = Parcel {
                number,
                what,
                report: ReportRecord { objects: Vec::new(), ..record.clone() },
                of: at.to_owned(),
                document,
                content: STANDARD.encode(content),
                object: String::new(),
                tries: 0,
            };
            WAITING.put(self.papers(), &parcel.key(), &parcel, self.now())?;
            self.wake_reporting();
        }
        Ok(())
    }
}

impl Ris {
    /// The parcel that is next, with its order.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn next_parcel(&self) -> Result<Option<(Parcel, Order)>, StoreError> {
        loop {
            let Some((key, parcel)) = WAITING.after(&*self.desk, "", 1)?.pop() else {
                return Ok(None);
            };
            let of = &parcel.report;
            match order_of(&*self.desk, &of.accession, &of.issuer)? {
                Some(order) => return Ok(Some((parcel, order.order))),
                // orders are never taken away, so this is a desk that lost something
                None => WAITING.remove(&*self.desk, &key).map(drop)?,
            }
        }
    }

    /// Its object was made, and is sent as it is from now on.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn parcel_made(
        &self,
        parcel: &mut Parcel,
        sop_instance: &Uid,
        object: &[u8],
    ) -> Result<(), StoreError> {
        parcel.object = STANDARD.encode(object);
        let now = self.clock.now();
        together(&*self.desk, |papers| {
            WAITING.put(papers, &parcel.key(), parcel, now)?;
            let told = |object: &mut ReportObject| object.sop_instance = sop_instance.clone();
            note(papers, parcel, now, told)
        })
    }

    /// The PACS has it.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn parcel_sent(&self, parcel: &Parcel, peer: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        together(&*self.desk, |papers| {
            WAITING.remove(papers, &parcel.key())?;
            note(papers, parcel, now, |object| {
                (object.state, object.problem) = (ObjectState::Sent, String::new());
                peer.clone_into(&mut object.peer);
            })
        })
    }

    /// A try was in vain; it stays the next one.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn parcel_put_off(
        &self,
        parcel: &Parcel,
        peer: &str,
        problem: &str,
    ) -> Result<(), StoreError> {
        let (now, parcel) =
            (self.clock.now(), Parcel { tries: parcel.tries + 1, ..parcel.clone() });
        together(&*self.desk, |papers| {
            WAITING.put(papers, &parcel.key(), &parcel, now)?;
            note(papers, &parcel, now, |object| {
                problem.clone_into(&mut object.problem);
                peer.clone_into(&mut object.peer);
            })
        })
    }

    /// It is not tried any more, unless somebody says so.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn parcel_refused(
        &self,
        parcel: &Parcel,
        peer: &str,
        problem: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        together(&*self.desk, |papers| {
            WAITING.remove(papers, &parcel.key())?;
            DEAD.put(papers, &parcel.key(), parcel, now)?;
            note(papers, parcel, now, |object| {
                object.state = ObjectState::Refused;
                problem.clone_into(&mut object.problem);
                peer.clone_into(&mut object.peer);
            })
        })
    }

    /// Sends again what was refused of a report; how many objects.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn send_report_again(&self, record: &ReportRecord) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let count = together(&*self.desk, |papers| {
            let mut count = 0;
            for object in &record.objects {
                let key = format!("{:020}", object.number);
                let Some(parcel) = DEAD.get(papers, &key)? else { continue };
                let parcel = Parcel { tries: 0, ..parcel };
                DEAD.remove(papers, &key)?;
                WAITING.put(papers, &key, &parcel, now)?;
                note(papers, &parcel, now, |object| object.state = ObjectState::Waiting)?;
                count += 1;
            }
            Ok::<_, StoreError>(count)
        })?;
        if count > 0 {
            self.reporting.notify_one();
        }
        Ok(count)
    }

    /// Answers when there may be a parcel to send.
    pub async fn to_send_parcels(&self) {
        self.reporting.notified().await;
    }
}

/// Says in the report how far one of its objects is.
fn note(
    papers: &dyn pacslab_store::Papers,
    parcel: &Parcel,
    now: pacslab_model::Moment,
    change: impl FnOnce(&mut ReportObject),
) -> Result<(), StoreError> {
    let Some(mut record) = REPORTS.get(papers, &parcel.of)? else { return Ok(()) };
    let Some(object) = record.objects.iter_mut().find(|one| one.number == parcel.number) else {
        return Ok(());
    };
    change(object);
    REPORTS.put(papers, &parcel.of, &record, now)
}
