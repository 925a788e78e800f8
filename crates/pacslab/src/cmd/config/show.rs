//! `pacslab config show`: every value and where it came from.

use crate::cmd::{Context, Example, help};
use crate::config::{KEYS, Origin, SECTIONS};
use crate::exit::{Exit, Result};

/// Print every value and where it came from
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Print a pacslab.toml
    #[arg(long)]
    toml: bool,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab config show", "a table of keys, values and origins"),
        ("pacslab config show --toml", "the same as a configuration file, to start from"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let loaded = context.load([])?;
        loaded.warnings.iter().for_each(|warning| context.out.warning(warning));
        let shown = loaded.values.shown();
        if self.toml {
            context.out.text(&as_toml(&shown));
        } else if context.out.json {
            let rows: Vec<serde_json::Value> = shown
                .iter()
                .map(|(key, value, _, origin)| {
                    serde_json::json!({"key": key, "value": value, "origin": origin.to_string()})
                })
                .collect();
            context.out.json(&rows);
        } else {
            let rows = shown
                .iter()
                .map(|(key, value, _, origin)| {
                    vec![(*key).to_owned(), (*value).to_owned(), origin.to_string()]
                })
                .collect();
            context.out.table(&["key", "value", "origin"], rows, "nothing is configured");
        }
        Ok(Exit::Done)
    }
}

/// A configuration file with what each key means: something to start from.
fn as_toml(shown: &[(&str, &str, bool, &Origin)]) -> String {
    let mut text = String::new();
    let mut section = "";
    for (key, value, quoted, origin) in shown {
        let (head, name) = key.rsplit_once('.').unwrap_or(("", key));
        if head != section {
            let about = SECTIONS.iter().find(|(name, _)| *name == head);
            let about = about.map_or("", |(_, about)| about.trim());
            let about = match head {
                "peers" => "Who is known, and where C-MOVE may go.",
                "http.users" => "Who may log in.",
                head if head.starts_with("hl7.destinations.") => "Gets HL7 messages.",
                _ => about,
            };
            let gap = if section.is_empty() { "" } else { "\n" };
            text += &format!("{gap}# {about}\n[{head}]\n");
            section = head;
        }
        if let Some(info) = KEYS.iter().find(|info| info.key == *key) {
            text += &format!("# {} ({})\n", info.doc.trim(), info.kind);
        }
        let hidden = if *value == "********" { "# " } else { "" };
        let value = match quoted {
            true => toml::Value::from(*value).to_string(),
            false => (*value).to_owned(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name = match name.chars().all(plain) {
            true => name.to_owned(),
            false => toml::Value::from(name).to_string(),
        };
        let from = match origin {
            Origin::Default => String::new(),
            origin => format!(" # {origin}"),
        };
        text += &format!("{hidden}{name} = {value}{from}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Values;

    #[test]
    fn the_file_it_prints_can_be_read_back() {
        let values = Values::defaults(KEYS);
        let text = as_toml(&values.shown());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pacslab.toml");
        std::fs::write(&path, &text).unwrap();
        let loaded = crate::config::load(Some(&path), []).unwrap();
        assert_eq!(loaded.config, crate::config::Config::from_values(&values).unwrap(), "{text}");
    }
}
