//! `pacslab user list`: who may log in, and where that is written.

use super::Kept;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// List who may log in
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab user list", "names and where they come from")];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let kept = Kept::read(&config)?;
        let mut rows: Vec<(String, String)> = config
            .users
            .keys()
            .map(|name| (name.clone(), "http.users of the configuration".to_owned()))
            .collect();
        // what the configuration says wins
        let in_folder = kept.users.keys().filter(|name| !config.users.contains_key(*name));
        rows.extend(in_folder.map(|name| (name.clone(), kept.path.display().to_string())));
        let login = &config.http.user;
        if !config.built_in_login && !config.users.contains_key(login) {
            rows.push((login.clone(), "http.user of the configuration".to_owned()));
        } else if config.built_in_login && rows.is_empty() {
            rows.push((login.clone(), "built in; from this computer only".to_owned()));
        }
        if context.out.json {
            let rows: Vec<serde_json::Value> = rows
                .iter()
                .map(|(name, from)| serde_json::json!({"user": name, "from": from}))
                .collect();
            context.out.json(&rows);
        } else {
            let rows = rows.into_iter().map(|(name, from)| vec![name, from]).collect();
            context.out.table(&["user", "from"], rows, "nobody may log in");
        }
        Ok(Exit::Done)
    }
}
