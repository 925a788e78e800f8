//! A report as ORU^R01: text, document, or both. IHE RAD TF-2 4.28 and 4.128.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pacslab_model::order::Code;

use super::{Sending, msh, pid, pv1, ts};
use crate::coding::Coding;
use crate::incoming::{Document, Person, Report, ReportStatus, Section};
use crate::message::{Line, Message};
use crate::types;

/// One ORU^R01 of one report. [`Report::order`] says of what: its steps are not told.
pub fn build_oru(report: &Report, sending: &Sending) -> Message {
    let coding = Coding::new(sending.charset);
    let order = &report.order;
    let write = Writer { coding, report };
    let mut message = Message::new(coding);
    message.push(msh(&coding, "ORU^R01^ORU_R01", sending));
    message.push(pid(&coding, &order.patient));
    message.push(pv1(&coding, &order.patient, &order.visit));
    message.push(write.orc());
    message.push(write.obr());
    for (at, line) in write.observations(&sending.app).into_iter().enumerate() {
        message.push(line.with(1, (at + 1).to_string()).with(11, write.observed()));
    }
    message
}

struct Writer<'a> {
    coding: Coding,
    report: &'a Report,
}

impl Writer<'_> {
    fn orc(&self) -> Line {
        let order = &self.report.order;
        let status = match self.report.status {
            ReportStatus::Cancelled => "CA",
            ReportStatus::Final | ReportStatus::Corrected => "CM",
            _ => "A",
        };
        Line::new("ORC")
            .with(1, "RE")
            .with(2, types::ei_from_identifier(&self.coding, &order.placer))
            .with(3, types::ei_from_identifier(&self.coding, &order.filler))
            .with(5, status)
    }

    fn obr(&self) -> Line {
        let (coding, report) = (&self.coding, self.report);
        let (order, procedure) = (&report.order, &report.order.procedure);
        let Code { value, scheme, meaning } = &procedure.code;
        let service = if meaning.is_empty() { &procedure.description } else { meaning };
        let reason = &procedure.reason_code;
        let person = |person: &Person| types::ndl_from_name(coding, &person.id, &person.name);
        Line::new("OBR")
            .with(1, "1")
            .with(2, types::ei_from_identifier(coding, &order.placer))
            .with(3, types::ei_from_identifier(coding, &order.filler))
            .with(4, coding.components(&[value, service, scheme]))
            .with(7, ts(&report.exam_start))
            .with(8, ts(&report.exam_end))
            .with(16, types::xcn_from_name(coding, &procedure.requesting_physician))
            .with(18, coding.escape(&order.accession))
            .with(19, coding.escape(&procedure.id))
            .with(22, ts(&report.at))
            .with(24, coding.escape(&report.modality))
            .with(25, report.status.as_str())
            .with(31, coding.components(&[&reason.value, &procedure.reason, &reason.scheme]))
            .with(32, person(&report.interpreter))
            .with(33, person(&report.assistant))
            .with(35, person(&report.transcriptionist))
            .with(44, coding.components(&[value, &procedure.description, scheme]))
    }

    /// OBX without its number and its state.
    fn observations(&self, app: &str) -> Vec<Line> {
        let (coding, report) = (&self.coding, self.report);
        let line = |kind: &str, code: [&str; 3], value: String| {
            let line = Line::new("OBX").with(2, kind).with(3, coding.components(&code));
            line.with(4, "1").with(5, value)
        };
        let section = |section: &Section| {
            let code = &section.code;
            line("TX", [&code.value, &code.meaning, &code.scheme], coding.escape(&section.text))
        };
        let mut lines: Vec<Line> = report.sections.iter().map(section).collect();
        let mut studies = report.studies.clone();
        let own = &report.order.procedure.study_uid;
        if !own.is_empty() && !studies.contains(own) {
            studies.insert(0, own.clone());
        }
        for study in &studies {
            let code = ["113014", "DICOM Study", "DCM"];
            lines.push(line("ST", code, coding.escape(study.as_str())));
        }
        if !report.sr_instance.is_empty() {
            let code = ["", "SR Instance UID", ""];
            lines.push(line("ST", code, coding.escape(report.sr_instance.as_str())));
        }
        for one in &report.observations {
            let code = [one.code.value.as_str(), &one.code.meaning, &one.code.scheme];
            let number = one.value.trim().parse::<f64>().is_ok();
            let kind = if number { "NM" } else { "CE" };
            lines.push(
                line(kind, code, coding.escape(&one.value)).with(6, coding.escape(&one.units)),
            );
        }
        for link in &report.links {
            let code = ["link", "Link to the images", "99PACSLAB"];
            lines.push(line("ST", code, coding.escape(link)));
        }
        for document in &report.documents {
            let code = &document.code;
            let code = [code.value.as_str(), &code.meaning, &code.scheme];
            lines.push(line("ED", code, self.data(document, app)));
        }
        lines
    }

    /// ED, with the types of tables 0191 and 0291.
    fn data(&self, document: &Document, app: &str) -> String {
        let (kind, sub) =
            document.media_type.split_once('/').unwrap_or(("application", "octet-stream"));
        let kind = match kind {
            "image" => "IM",
            "audio" => "AU",
            "text" => "TEXT",
            _ => "AP",
        };
        let data = STANDARD.encode(&document.bytes);
        self.coding.components(&[app, kind, &sub.to_ascii_uppercase(), "Base64", &data])
    }

    /// OBX-11: table 0085 has no A.
    fn observed(&self) -> &'static str {
        match self.report.status {
            ReportStatus::Partial => "P",
            status => status.as_str(),
        }
    }
}
