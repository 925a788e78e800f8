//! The exams a department offers: `data/catalogue.csv`, one row an exam.

use std::sync::OnceLock;

use pacslab_model::order::Code;

use crate::CODING_SCHEME;

/// One row of the catalogue.
#[derive(Clone, PartialEq, Debug)]
pub struct Exam {
    /// `CTCHW`: the procedure code, scheme 99PACSLAB.
    pub code: String,
    /// `CT CHEST W CONTRAST`
    pub name: String,
    /// (0008,0060)
    pub modality: String,
    /// (0018,0015)
    pub body_part: String,
    /// The same as SNOMED CT code.
    pub region: Code,
    /// `N` unpaired, `B` both sides, `P` one side of a pair.
    pub laterality: String,
    /// Contrast medium: none, or how it is given (`IV`, `PO`, `IVPO`).
    pub contrast: Option<String>,
    pub median_minutes: u32,
    /// What a full study has.
    pub series: u32,
    pub instances: u32,
    /// How often it is ordered from emergency, wards and outpatients.
    pub weights: [u32; 3],
    pub dose_key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the exam catalogue: {reason}")]
pub struct BadCatalogue {
    pub line: usize,
    pub reason: String,
}

impl Exam {
    /// The procedure as a code for orders.
    pub fn procedure(&self) -> Code {
        Code::new(self.code.as_str(), CODING_SCHEME, self.name.as_str())
    }
}

/// All exams that the lab knows, in the catalogue's order.
pub fn exams() -> &'static [Exam] {
    static EXAMS: OnceLock<Vec<Exam>> = OnceLock::new();
    // the file is part of the program and a test reads every row of it
    EXAMS.get_or_init(|| parse(include_str!("../data/catalogue.csv")).unwrap_or_default())
}

/// By code, whatever the case.
pub fn exam(code: &str) -> Option<&'static Exam> {
    exams().iter().find(|exam| exam.code.eq_ignore_ascii_case(code.trim()))
}

const COLUMNS: &str = "code,name,modality,body_part_examined,sct_code,sct_keyword,laterality,\
contrast,median_minutes,series,instances,w_ed,w_ip,w_op,dose_key";

/// Reads a catalogue: no quoting, because no value needs a comma.
///
/// # Errors
/// The first line that is not what the columns say.
pub fn parse(text: &str) -> Result<Vec<Exam>, BadCatalogue> {
    let mut lines = text.lines().enumerate();
    match lines.next() {
        Some((_, COLUMNS)) => {}
        other => {
            let found = other.map_or("", |(_, line)| line);
            let reason = format!("the columns are '{found}', but should be '{COLUMNS}'");
            return Err(BadCatalogue { line: 1, reason });
        }
    }
    let rows = lines.filter(|(_, line)| !line.trim().is_empty());
    rows.map(|(at, line)| row(line).map_err(|reason| BadCatalogue { line: at + 1, reason }))
        .collect()
}

fn row(line: &str) -> Result<Exam, String> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let [code, name, modality, part, sct, keyword, side, contrast, rest @ ..] = &cells[..] else {
        return Err(format!("{} values instead of 15", cells.len()));
    };
    let [minutes, series, instances, ed, ip, op, dose_key] = rest else {
        return Err(format!("{} values instead of 15", cells.len()));
    };
    let number =
        |text: &str| text.parse::<u32>().map_err(|_| format!("'{text}' should be a whole number"));
    Ok(Exam {
        code: (*code).to_owned(),
        name: (*name).to_owned(),
        modality: (*modality).to_owned(),
        body_part: (*part).to_owned(),
        region: Code::new(*sct, "SCT", words(keyword)),
        laterality: (*side).to_owned(),
        contrast: Some(*contrast).filter(|how| *how != "N").map(str::to_owned),
        median_minutes: number(minutes)?,
        series: number(series)?,
        instances: number(instances)?,
        weights: [number(ed)?, number(ip)?, number(op)?],
        dose_key: (*dose_key).to_owned(),
    })
}

/// `AbdomenAndPelvis` -> `Abdomen and pelvis`, as code meanings are written.
fn words(keyword: &str) -> String {
    let mut text = String::with_capacity(keyword.len() + 4);
    for (at, letter) in keyword.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(if at > 0 { letter.to_ascii_lowercase() } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_ordered() {
        let exams = parse(include_str!("../data/catalogue.csv")).unwrap();
        assert_eq!(exams.len(), 68);
        for exam in &exams {
            assert!(exam.code.len() <= 16 && exam.name.len() <= 64, "{exam:?}");
            assert!(matches!(exam.modality.len(), 2 | 3), "{exam:?}");
            assert!(matches!(exam.laterality.as_str(), "N" | "B" | "P"), "{exam:?}");
            assert!(!exam.region.value.is_empty() && exam.series > 0 && exam.instances > 0);
        }
        let mut codes: Vec<&str> = exams.iter().map(|exam| exam.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), exams.len(), "codes are unique");
    }

    #[test]
    fn exams_are_found_by_code() {
        let chest = exam("ctchw").unwrap();
        assert_eq!(chest.name, "CT CHEST W CONTRAST");
        assert_eq!(chest.contrast.as_deref(), Some("IV"));
        assert_eq!(chest.region, Code::new("816094009", "SCT", "Chest"));
        assert_eq!(exam("CTCAP").unwrap().region.meaning, "Chest abdomen and pelvis");
        assert!(exam("CTNOSE").is_none());
    }

    #[test]
    fn a_bad_row_is_named() {
        let text = format!("{COLUMNS}\nX,Y,CT,CHEST,1,Chest,N,N,ten,1,1,1,1,1,K\n");
        let bad = parse(&text).unwrap_err();
        assert_eq!((bad.line, bad.reason.as_str()), (2, "'ten' should be a whole number"));
        assert!(parse("").unwrap_err().to_string().contains("line 1"));
        assert!(parse(&format!("{COLUMNS}\na,b")).unwrap_err().reason.contains("2 values"));
    }
}
