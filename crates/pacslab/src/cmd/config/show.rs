//! `pacslab config show`: every value and where it came from.

use crate::cmd::{Context, Example, help};
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

fn as_toml(shown: &[(&str, &str, bool, &crate::config::Origin)]) -> String {
    let mut text = String::new();
    let mut section = "";
    for (key, value, quoted, origin) in shown {
        let (head, name) = key.split_once('.').unwrap_or(("", key));
        if head != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            text += &format!("{gap}[{head}]\n");
            section = head;
        }
        let value = toml::Value::from(*value).to_string();
        let value = if *quoted { value.as_str() } else { value.trim_matches(['"', '\'']) };
        let name = if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            name.to_owned()
        } else {
            toml::Value::from(name).to_string()
        };
        let hidden = if value.contains("********") { "# " } else { "" };
        text += &format!("{hidden}{name} = {value} # {origin}\n");
    }
    text
}
