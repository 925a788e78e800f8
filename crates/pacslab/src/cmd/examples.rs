//! The documented examples as words, and the test that each is understood.

/// The words of a command line: split at spaces, quotes keep words together.
pub(crate) fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cmd::{Cli, Command};

    #[test]
    fn every_example_is_understood() {
        for (line, meaning) in Command::examples() {
            let parsed = Cli::try_parse_from(words(line));
            assert!(parsed.is_ok_and(|cli| cli.command.is_some()), "{line}");
            assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{meaning}");
        }
    }

    #[test]
    fn every_command_has_examples_in_its_help() {
        fn visit(command: &clap::Command, path: &str, lines: &[&str]) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                let path = format!("{path} {}", sub.get_name());
                assert!(sub.get_about().is_some(), "{path} says nothing about itself");
                if sub.has_subcommands() {
                    visit(sub, &path, lines);
                } else {
                    assert!(lines.iter().any(|l| l.starts_with(&path)), "{path}: no example");
                    let help = sub.get_after_help().map(ToString::to_string);
                    assert!(help.is_some_and(|h| h.contains(&path)), "{path}: not in its help");
                }
            }
        }
        let lines: Vec<&str> = Command::examples().into_iter().map(|(line, _)| line).collect();
        visit(&Cli::command(), "pacslab", &lines);
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_says_what_it_is_not() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("Not a medical device; synthetic data only"), "{help}");
        assert!(help.contains("Exit codes:"), "{help}");
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("a --d \"CT CHEST\" b"), ["a", "--d", "CT CHEST", "b"]);
    }
}
