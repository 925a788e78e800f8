//! Reports: what was read of the images, whoever wrote it. IHE RAD TF-2 4.28 (RAD-28) and 4.128
//! (RAD-128); HL7 v2.5.1 7.3.1.
//!
//! A report lies on the desk under the order that it is about, and each later one takes the place
//! of the one before; documents lie beside it. What follows from a signed report for the archive is
//! left on the desk as well, and whoever has both takes it from there.

mod late;
mod parcels;
mod state;

pub use parcels::{ObjectState, Parcel, ParcelKind, ReportObject};
pub use state::{OrderState, ReportState, report};

use pacslab_hl7::incoming::{Report, ReportStatus, SectionKind};
use pacslab_model::order::{Code, Order};
use pacslab_model::{Event, Identifiers, Moment, Outcome, PersonName, Uid};
use pacslab_store::{OrderFilter, OrderRecord, StoreError};
use serde::{Deserialize, Serialize};

use crate::drawer::Drawer;
use crate::events;
use crate::orders::{RefusedOrder, Ris, Work, identifiers, which};

/// The report of an order as the department knows it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportRecord {
    pub accession: String,
    /// The authority of the order's filler number, which is part of its key.
    pub issuer: String,
    pub patient_id: String,
    pub study_uid: Uid,
    pub state: ReportState,
    /// 1, 2, …: how often it has been said.
    pub version: u32,
    /// The last signed version before this one that the lab made an object of; 0: none.
    pub corrects: u32,
    pub sections: Vec<ReportSection>,
    pub documents: Vec<ReportDocument>,
    pub links: Vec<String>,
    /// Who read it, and the number that they are known by.
    pub interpreter: PersonName,
    pub interpreter_id: String,
    /// When it was signed, or written: DA and TM.
    pub date: String,
    pub time: String,
    /// The object that it was made from elsewhere; otherwise the lab makes one.
    pub sr_instance: Uid,
    /// What the lab makes of it for the PACS, and how far that is.
    pub objects: Vec<ReportObject>,
    /// No order is known that it would be about.
    pub unmatched: bool,
    pub changed_at: Option<Moment>,
    /// It came before its order, and is attached to it just now.
    #[serde(skip)]
    late: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReportSection {
    pub code: Code,
    pub text: String,
}

/// A document of the report; its bytes are had by [`Ris::report_document`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReportDocument {
    pub media_type: String,
    pub size: usize,
    key: String,
}

impl ReportRecord {
    fn is_said_by(&self, other: &Self) -> bool {
        self.sections == other.sections
            && self.documents == other.documents
            && self.interpreter == other.interpreter
    }

    /// Whether the lab makes an object of it.
    fn is_object(&self) -> bool {
        self.state.is_signed() && self.sr_instance.is_empty() && !self.sections.is_empty()
    }
}

/// What somebody signs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Signed {
    pub accession: String,
    /// Requested procedure id, of an order with several.
    pub procedure: String,
    pub findings: String,
    pub impression: String,
    /// All in one, instead of the two.
    pub text: String,
    pub by: PersonName,
    pub preliminary: bool,
}

/// Why a report had no effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedReport {
    #[error("there is no order {0}; send it first, or report on another number")]
    Unknown(String),

    #[error(
        "the report of order {accession} is {}; {told} is not foreseen then, send a correction (C)",
        .state.as_str()
    )]
    Unexpected { accession: String, state: ReportState, told: String },

    #[error("{0}")]
    Bad(String),

    #[error(transparent)]
    Order(#[from] RefusedOrder),

    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a report.
#[derive(Clone, PartialEq, Debug)]
pub struct ReportApplied {
    pub record: ReportRecord,
    pub changed: bool,
    pub remarks: Vec<String>,
}

const REPORTS: Drawer<ReportRecord> = Drawer::new("report");
/// The keys of those that fit no order.
const UNMATCHED_KEYS: Drawer<()> = Drawer::new("report without order");
const DOCUMENTS: Drawer<Vec<u8>> = Drawer::new("report document");

fn key(accession: &str, issuer: &str) -> String {
    format!("{accession}\u{1f}{issuer}")
}

fn document_key(of: &str, number: usize) -> String {
    format!("{of}\u{1f}{number}")
}

/// Of a report that fits no order; no issuer is called so.
const UNMATCHED: &str = "\u{1f}unmatched";

impl Ris {
    /// The report of an accession number; of several authorities the last.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn report(&self, accession: &str) -> Result<Option<ReportRecord>, StoreError> {
        let found = REPORTS.beginning(&*self.desk, &key(accession, ""), 10)?;
        let found = found.into_iter().map(|(_, record)| record);
        Ok(found.max_by_key(|record| (!record.unmatched, record.changed_at)))
    }

    /// The report of one requested procedure of an order.
    ///
    /// # Errors
    /// There is no such one, or the desk cannot be read.
    pub fn report_on(
        &self,
        accession: &str,
        procedure: &str,
    ) -> Result<Option<ReportRecord>, RefusedOrder> {
        let order = self.order_of(accession, procedure)?.order;
        Ok(REPORTS.get(&*self.desk, &key(&order.accession, &order.key()))?)
    }

    /// Where the report of an order is.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn report_state(&self, order: &Order) -> Result<ReportState, StoreError> {
        let at = key(&order.accession, &order.key());
        Ok(REPORTS.get(&*self.desk, &at)?.map_or(ReportState::None, |record| record.state))
    }

    /// By accession number, those after `after` (`""`: from the first).
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn reports(&self, after: &str, limit: usize) -> Result<Vec<ReportRecord>, StoreError> {
        let after = if after.is_empty() { String::new() } else { key(after, "\u{7f}") };
        let found = REPORTS.after(&*self.desk, &after, limit)?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// # Errors
    /// The desk cannot be read.
    pub fn report_document(
        &self,
        document: &ReportDocument,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        DOCUMENTS.get(&*self.desk, &document.key)
    }

    /// Puts a name to a report; a second one corrects the first.
    ///
    /// # Errors
    /// See [`RefusedReport`]; nothing has changed then.
    pub fn sign(&self, signed: &Signed) -> Result<ReportApplied, RefusedReport> {
        self.work(|work| work.sign(signed)).map(|(applied, _)| applied)
    }
}

fn order_of(
    papers: &dyn pacslab_store::Papers,
    accession: &str,
    issuer: &str,
) -> Result<Option<OrderRecord>, StoreError> {
    let accession = Some(accession.to_owned());
    let found = papers.orders(&OrderFilter { accession, ..OrderFilter::default() })?;
    Ok(found.into_iter().find(|record| record.order.key() == issuer))
}

impl Work<'_> {
    /// Takes a report in. Leniently one of an unknown order is kept as unmatched, and one that is
    /// late changes nothing; both are remarked on.
    ///
    /// # Errors
    /// See [`RefusedReport`].
    pub fn report(&self, told: &Report, strict: bool) -> Result<ReportApplied, RefusedReport> {
        let known = self.order_told(&told.order)?;
        let mut remarks = Vec::new();
        let of = known.as_ref().map_or(&told.order, |known| &known.order);
        let number = [&of.accession, &of.filler.id, &of.placer.id];
        let number = number.into_iter().find(|number| !number.is_empty()).cloned();
        let number = number.unwrap_or_else(|| of.procedure.study_uid.to_string());
        if known.is_none() {
            if strict {
                return Err(RefusedReport::Unknown(number));
            }
            remarks.push(format!("order {number} is not known; the report is kept unmatched"));
        }
        let mut record = ReportRecord {
            accession: if known.is_some() { of.accession.clone() } else { number },
            issuer: match known {
                Some(_) => of.key().into_owned(),
                None => UNMATCHED.to_owned(),
            },
            patient_id: of.patient.id.id.clone(),
            study_uid: of.procedure.study_uid.clone(),
            links: told.links.clone(),
            interpreter: told.interpreter.name.clone(),
            interpreter_id: told.interpreter.id.clone(),
            date: told.at.date.clone(),
            time: told.at.time.clone(),
            sr_instance: told.sr_instance.clone(),
            unmatched: known.is_none(),
            ..ReportRecord::default()
        };
        let section = |section: &pacslab_hl7::incoming::Section| ReportSection {
            code: section.code.clone(),
            text: section.text.clone(),
        };
        record.sections = told.sections.iter().map(section).collect();
        for (at, document) in told.documents.iter().enumerate() {
            record.documents.push(ReportDocument {
                media_type: document.media_type.clone(),
                size: document.bytes.len(),
                key: document_key(&key(&record.accession, &record.issuer), at),
            });
        }
        let bytes: Vec<&[u8]> = told.documents.iter().map(|one| &one.bytes[..]).collect();
        self.keep_report(record, told.status, &bytes, strict, remarks)
    }

    /// Puts a name to a report; a second one corrects the first.
    ///
    /// # Errors
    /// See [`RefusedReport`].
    pub fn sign(&self, signed: &Signed) -> Result<ReportApplied, RefusedReport> {
        let accession = &signed.accession;
        if signed.by.is_empty() {
            return Err(RefusedReport::Bad("nobody signs: say by whom it was read".to_owned()));
        }
        let mut those = which::procedures(self.papers(), accession)?;
        if those.is_empty() {
            return Err(RefusedReport::Unknown(accession.clone()));
        }
        let known = which::one_of(&mut those, accession, &signed.procedure)?;
        let texts = [
            (SectionKind::Findings, &signed.findings),
            (SectionKind::Impression, &signed.impression),
            (SectionKind::Text, &signed.text),
        ];
        let texts = texts.into_iter().filter(|(_, text)| !text.trim().is_empty());
        let sections: Vec<ReportSection> = texts
            .map(|(kind, text)| ReportSection { code: kind.code(), text: text.trim().to_owned() })
            .collect();
        if sections.is_empty() {
            let text = "the report is empty: say what was found, what it means, or both";
            return Err(RefusedReport::Bad(text.to_owned()));
        }
        let order = &known.order;
        let now = self.now();
        let record = ReportRecord {
            accession: order.accession.clone(),
            issuer: order.key().into_owned(),
            patient_id: order.patient.id.id.clone(),
            study_uid: order.procedure.study_uid.clone(),
            sections,
            interpreter: signed.by.clone(),
            date: now.da(),
            time: now.tm(),
            ..ReportRecord::default()
        };
        let before = REPORTS.get(self.papers(), &key(&record.accession, &record.issuer))?;
        let status = match before {
            _ if signed.preliminary => ReportStatus::Preliminary,
            // the same again is no correction
            Some(before) if before.state.is_signed() && before.is_said_by(&record) => {
                before.state.status()
            }
            Some(before) if before.state.is_signed() => ReportStatus::Corrected,
            _ => ReportStatus::Final,
        };
        self.keep_report(record, status, &[], true, Vec::new())
    }

    fn keep_report(
        &self,
        mut record: ReportRecord,
        told: ReportStatus,
        documents: &[&[u8]],
        strict: bool,
        mut remarks: Vec<String>,
    ) -> Result<ReportApplied, RefusedReport> {
        let at = key(&record.accession, &record.issuer);
        let before = REPORTS.get(self.papers(), &at)?.unwrap_or_default();
        // a document of the same length may be another one
        let mut same_documents = before.documents == record.documents;
        for (document, bytes) in before.documents.iter().zip(documents) {
            let kept = DOCUMENTS.get(self.papers(), &document.key)?;
            same_documents &= kept.is_some_and(|kept| kept == *bytes);
        }
        let same = |before: &ReportRecord, record: &ReportRecord| {
            before.sections == record.sections && same_documents
        };
        let mut told = told;
        if before.state.is_signed() && told == ReportStatus::Final && !same(&before, &record) {
            // many never send C
            if !strict {
                remarks.push(
                    "the report was final already and says something else: read as a correction"
                        .to_owned(),
                );
                told = ReportStatus::Corrected;
            }
        }
        let unexpected = || RefusedReport::Unexpected {
            accession: record.accession.clone(),
            state: before.state,
            told: format!("{} ({})", told.as_str(), told_as(told)),
        };
        let next = match report(before.state, told) {
            Some(next)
                if !(strict && next == before.state && next == ReportState::Final)
                    || same(&before, &record) =>
            {
                next
            }
            _ if strict => return Err(unexpected()),
            _ => {
                remarks.push(format!("{}: nothing is changed", unexpected()));
                return Ok(ReportApplied { record: before, changed: false, remarks });
            }
        };
        if told == ReportStatus::Pending || (next == before.state && same(&before, &record)) {
            let record = if before.version == 0 { record } else { before };
            return Ok(ReportApplied { record, changed: false, remarks });
        }
        record.state = next;
        record.version = before.version + 1;
        record.corrects = if before.is_object() { before.version } else { before.corrects };
        record.changed_at = Some(self.now());
        if next == ReportState::Cancelled {
            // what was said is no longer said
            record.sections = Vec::new();
            record.documents = Vec::new();
        }
        if record.unmatched {
            UNMATCHED_KEYS.put(self.papers(), &at, &(), self.now())?;
        } else {
            record.objects = before.objects;
            self.report_follows(&at, &mut record, documents)?;
        }
        REPORTS.put(self.papers(), &at, &record, self.now())?;
        for old in before.documents.iter().skip(record.documents.len()) {
            DOCUMENTS.remove(self.papers(), &old.key)?;
        }
        for (document, bytes) in record.documents.iter().zip(documents) {
            DOCUMENTS.put(self.papers(), &document.key, &bytes.to_vec(), self.now())?;
        }
        if !record.unmatched
            && let Some(known) = order_of(self.papers(), &record.accession, &record.issuer)?
        {
            self.tell_oru(&known.order, &record, documents)?;
        }
        self.tell_report(&record, &remarks);
        Ok(ReportApplied { record, changed: true, remarks })
    }

    /// The order that a report is about: by accession number, filler, placer or study.
    fn order_told(&self, told: &Order) -> Result<Option<OrderRecord>, StoreError> {
        // of a report that names no requested procedure it is the first one that fits
        let control = pacslab_model::order::OrderControl::Cancel;
        match self.ordered(told, control) {
            Ok(Some(known)) => return Ok(Some(known)),
            Err(RefusedOrder::Store(error)) => return Err(error),
            Ok(None) | Err(_) => {}
        }
        let study = &told.procedure.study_uid;
        if study.is_empty() {
            return Ok(None);
        }
        let study_uid = Some(study.to_string());
        let found = self.papers().orders(&OrderFilter { study_uid, ..OrderFilter::default() })?;
        Ok(found.into_iter().next())
    }

    fn tell_report(&self, record: &ReportRecord, remarks: &[String]) {
        let state = record.state.as_str().to_lowercase();
        let by = match record.interpreter.is_empty() {
            true => String::new(),
            false => format!(", read by {}", record.interpreter),
        };
        let late = if record.late { "; it had come before its order" } else { "" };
        let text = format!("report of order {} is {state}{by}{late}", record.accession);
        let outcome = if remarks.is_empty() { Outcome::Ok } else { Outcome::Warning };
        let event = Event::new(self.now(), events::REPORT, text).outcome(outcome);
        let event = event.ids(Identifiers {
            accession: record.accession.clone(),
            patient_id: record.patient_id.clone(),
            study_uid: record.study_uid.to_string(),
            ..Identifiers::default()
        });
        self.tell(match remarks {
            [] => event,
            remarks => event.field("remarks", remarks.join("; ")),
        });
    }
}

const fn told_as(status: ReportStatus) -> &'static str {
    match status {
        ReportStatus::Preliminary => "preliminary",
        ReportStatus::Final => "final",
        ReportStatus::Corrected => "corrected",
        ReportStatus::Partial => "partial",
        ReportStatus::Unverified => "unverified",
        ReportStatus::Pending => "pending",
        ReportStatus::Cancelled => "cancelled",
    }
}

/// For the log of a message.
pub(crate) fn ids(record: &ReportRecord, order: &Order) -> Identifiers {
    Identifiers { accession: record.accession.clone(), ..identifiers(order) }
}
