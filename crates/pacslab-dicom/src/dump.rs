//! A data set as lines that people read.

use std::fmt::Write;

use crate::dataset::{Dataset, Value};
use crate::dict;

/// One line an element, nested items indented: tag, VR, keyword, value (long ones cut).
pub fn dump(dataset: &Dataset) -> String {
    let mut text = String::new();
    write_level(&mut text, dataset, 0);
    text
}

fn write_level(out: &mut String, dataset: &Dataset, depth: usize) {
    let indent = "  ".repeat(depth);
    for element in dataset {
        let value = match &element.value {
            Value::Items(items) => {
                format!("{} item{}", items.len(), if items.len() == 1 { "" } else { "s" })
            }
            Value::Fragments(fragments) => format!("{} fragments", fragments.len()),
            Value::Bytes(bytes) => {
                element.to_text().map_or_else(|| format!("{} bytes", bytes.len()), |t| cut(&t))
            }
            Value::Text(text) => cut(text),
        };
        let name = dict::keyword(element.tag).unwrap_or("-");
        // writing to a String does not fail
        let _ = writeln!(out, "{indent}{} {} {name:<36} {value}", element.tag, element.vr);
        if let Value::Items(items) = &element.value {
            for item in items {
                write_level(out, item, depth + 1);
            }
        }
    }
}

fn cut(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if flat.chars().count() <= 80 {
        return flat;
    }
    flat.chars().take(79).chain(['…']).collect()
}
