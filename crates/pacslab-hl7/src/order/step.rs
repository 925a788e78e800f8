//! The scheduled procedure step of an order: modality, station, when. PS3.4 K.6.1.2.2.

use pacslab_model::AeTitle;
use pacslab_model::order::{Code as Concept, Order, OrderControl, ScheduledStep};

use super::StationRule;
use super::control::{schedules, status};
use crate::finding::Code;
use crate::map::Attribute;
use crate::reader::{Reader, Spot};
use crate::types::{Timestamp, component, first};

impl Reader<'_> {
    pub(super) fn step(&mut self, control: OrderControl, order: &Order) -> Option<ScheduledStep> {
        let required = schedules(control);
        let id = self.assigned(Attribute::ScheduledProcedureStepID, required);
        if !required && id.is_empty() && control != OrderControl::StatusChange {
            return None; // the change is about all steps of the order
        }
        let orc5 = first(self.group.field("ORC", 5)).to_ascii_uppercase();
        let step = self.step_of(order, id, required)?;
        Some(ScheduledStep { status: status(control, &orc5), ..step })
    }

    /// The step, scheduled; `required`: what a worklist item needs must be there.
    pub(crate) fn step_of(
        &mut self,
        order: &Order,
        id: String,
        required: bool,
    ) -> Option<ScheduledStep> {
        let protocol = self.code(Attribute::ScheduledProtocolCodeSequence);
        let (spot, told) = self.text(Attribute::ScheduledProcedureStepDescription);
        let description = [told, protocol.meaning.clone(), order.procedure.description.clone()];
        let description = description.into_iter().find(|text| !text.is_empty());
        let modality = self.modality(order, required);
        let code = match component(self.group.field("OBR", 4), 1) {
            code if code.is_empty() => order.procedure.code.value.clone(),
            code => code,
        };
        let options = self.options;
        let rule = options.stations.iter().find(|rule| rule.takes(&modality, &code));
        let station = self.station(rule, required)?;
        let rule = options.stations.iter().find(|rule| rule.station == station).or(rule);
        let named = |told: String, rule: Option<&str>| match told.is_empty() {
            true => rule.unwrap_or("").to_owned(),
            false => told,
        };
        let station_name = self.text(Attribute::ScheduledStationName).1;
        let location = self.described(Attribute::ScheduledProcedureStepLocation);
        let (start_date, start_time) = self.start(required);
        Some(ScheduledStep {
            id,
            description: self.bounded(&spot, description.unwrap_or_default()),
            protocol: if protocol.value.is_empty() { Concept::default() } else { protocol },
            modality,
            station,
            station_name: named(station_name, rule.map(|rule| rule.name.as_str())),
            location: named(location, rule.map(|rule| rule.location.as_str())),
            start_date,
            start_time,
            performing_physician: self.name(Attribute::ScheduledPerformingPhysicianName),
            status: Default::default(),
        })
    }

    fn modality(&mut self, order: &Order, required: bool) -> String {
        let (spot, text) = self.text(Attribute::Modality);
        let modality = text.to_ascii_uppercase();
        // table 0074 knows other words for some modalities
        let dicom = match modality.as_str() {
            "RUS" | "VUS" => "US",
            "NMR" => "MR",
            "NMS" => "NM",
            "RX" => "DX",
            "RAD" => "",
            other => other,
        };
        let is_code =
            |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == ' ';
        if dicom.len() > 16 || !dicom.chars().all(is_code) {
            let text = format!("'{text}' is not a modality such as CT or MR");
            self.fault(&spot, Code::DataType, text);
            return String::new();
        }
        if !dicom.is_empty() {
            if dicom != text {
                let remark = format!("'{text}' read as modality {dicom}");
                self.warn(&spot, Code::TableValueNotFound, remark);
            }
            return dicom.to_owned();
        }
        let obr4 = self.group.field("OBR", 4);
        let code = &order.procedure.code;
        let named =
            [component(obr4, 2), component(obr4, 1), code.meaning.clone(), code.value.clone()];
        let guess = named.iter().find_map(|text| guess_modality(text));
        let from = if self.group.has("OBR") { "OBR-4" } else { "AIS-3" };
        match guess {
            Some(modality) if !self.options.strict => {
                let remark = format!("no modality; {modality} is taken from {from}");
                self.warn(&spot, Code::RequiredFieldMissing, remark);
                modality.to_owned()
            }
            _ => {
                if required {
                    let text = "the modality is missing".to_owned();
                    self.fault(&spot, Code::RequiredFieldMissing, text);
                }
                String::new()
            }
        }
    }

    fn station(&mut self, rule: Option<&StationRule>, required: bool) -> Option<AeTitle> {
        let (spot, text) = self.text(Attribute::ScheduledStationAETitle);
        if !text.is_empty() {
            match AeTitle::new(&text) {
                Ok(station) => return Some(station),
                Err(error) => {
                    let bridge = "the station is chosen by rule";
                    self.gap(&spot, Code::DataType, &error.to_string(), bridge);
                }
            }
        }
        let chosen = rule.map(|rule| rule.station.clone());
        if let Some(station) = chosen.or_else(|| self.options.default_station.clone()) {
            return Some(station);
        }
        if required {
            let text = "no station: send its AE title in OBR-21 (ORM, OMG) or IPC-9 (OMI), or \
                        configure a station for the modality";
            self.fault(&spot, Code::RequiredFieldMissing, text.to_owned());
            return None;
        }
        // cancelling and the like: the step is told by its id
        AeTitle::new("ANY").ok()
    }

    /// DA and TM of the scheduled start.
    fn start(&mut self, required: bool) -> (String, String) {
        let (spot, time) = self.time(Attribute::ScheduledProcedureStepStartDateTime);
        match time {
            Ok(None) if !required => Default::default(),
            Ok(None) => self.no_start(&spot),
            Ok(Some(time)) if time.has_day() && !time.time.is_empty() => (time.date, time.time),
            Ok(Some(time)) if time.has_day() => {
                let text = &time.date;
                let problem = format!("the scheduled start '{text}' has no time of day");
                self.gap(&spot, Code::DataType, &problem, "midnight is taken");
                (time.date, "000000".to_owned())
            }
            Ok(Some(Timestamp { date: text, .. })) | Err(text) => {
                let text = format!("the scheduled start '{text}' is not a time (YYYYMMDDHHMM)");
                self.fault(&spot, Code::DataType, text);
                Default::default()
            }
        }
    }

    fn no_start(&mut self, spot: &Spot) -> (String, String) {
        let sent = Timestamp::parse(&self.group.message.text("MSH-7.1"));
        let problem = "the scheduled start is missing";
        match sent.filter(Timestamp::has_day) {
            Some(sent) => {
                let bridge = "the time of the message (MSH-7) is taken";
                self.gap(spot, Code::RequiredFieldMissing, problem, bridge);
                (sent.date, sent.time)
            }
            None => {
                self.gap(spot, Code::RequiredFieldMissing, problem, "left to the lab");
                Default::default()
            }
        }
    }
}

/// Procedures are often named by their modality: `CT CHEST`, `MR_BRAIN`.
fn guess_modality(text: &str) -> Option<&'static str> {
    let word = text.split(|c: char| !c.is_ascii_alphanumeric()).next()?.to_ascii_uppercase();
    let known = ["CT", "MR", "US", "CR", "DX", "MG", "NM", "PT", "XA", "RF", "OT"];
    match word.as_str() {
        "MRI" => Some("MR"),
        "XR" => Some("DX"),
        "PET" => Some("PT"),
        word => known.into_iter().find(|modality| *modality == word),
    }
}
