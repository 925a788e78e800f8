//! The program as people meet it: help, mistakes, configuration, machine-readable output.

use crate::support::lab::{cli, pacslab};
use crate::support::process;

#[test]
fn alone_it_says_what_to_do_first() {
    let said = cli(&[]).said();
    assert!(said.contains("pacslab demo"), "{said}");
}

#[test]
fn help_says_what_it_is_not() {
    let help = cli(&["--help"]).success().stdout.to_lowercase();
    assert!(help.contains("not a medical device") && help.contains("synthetic"), "{help}");
}

#[test]
fn every_command_has_help_with_an_example() {
    for words in [
        &["demo"][..],
        &["serve"],
        &["hl7", "generate"],
        &["hl7", "send"],
        &["worklist", "create"],
        &["worklist", "list"],
        &["worklist", "find"],
        &["acquire"],
        &["send"],
        &["find"],
        &["move"],
        &["receive"],
        &["echo"],
        &["fhir", "export"],
        &["config", "show"],
        &["services"],
        &["completions"],
        &["watch"],
    ] {
        let help = cli(&[words, &["--help"]].concat()).success().stdout;
        let example = format!("pacslab {}", words.join(" "));
        let after_usage = help.lines().skip_while(|line| !line.starts_with("Usage")).skip(1);
        let shown = after_usage.filter(|line| line.contains(&example)).count();
        assert!(shown > 0, "no example of `{example}` in\n{help}");
    }
}

#[test]
fn a_mistyped_command_is_answered_with_the_nearest() {
    let said = cli(&["serv"]).failure();
    assert_eq!(said.code(), Some(2), "{said}");
    assert!(said.stderr.contains("serve"), "{said}");
}

#[test]
fn an_unknown_configuration_key_names_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pacslab.toml");
    std::fs::write(&file, "[dicom]\nprot = 4242\n").unwrap();
    let shown = cli(&["config", "show", "--config", file.to_str().unwrap()]).failure();
    assert!(shown.stderr.contains("prot") && shown.stderr.contains("port"), "{shown}");
}

#[test]
fn config_show_says_where_each_value_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pacslab.toml");
    std::fs::write(&file, "[dicom]\nport = 11113\n").unwrap();
    let mut command = pacslab();
    command.args(["config", "show", "--config", file.to_str().unwrap()]);
    command.env("PACSLAB__HTTP__PORT", "18042");
    let shown = process::run(&mut command).success().stdout;
    let line = |value: &str| {
        let found = shown.lines().find(|line| line.contains(value));
        found.unwrap_or_else(|| panic!("no {value} in\n{shown}")).to_string()
    };
    assert!(line("11113").contains("pacslab.toml"), "{shown}");
    assert!(line("18042").contains("PACSLAB__HTTP__PORT"), "{shown}");
    assert!(line("2575").contains("default"), "{shown}");
}

#[test]
fn services_are_listed_for_people_and_machines() {
    let table = cli(&["services"]).success().stdout;
    for name in ["Verification", "Worklist", "Study Root"] {
        assert!(table.contains(name), "{name} in\n{table}");
    }
    let services = cli(&["services", "--json"]).success().json();
    let text = services.to_string();
    for uid in ["1.2.840.10008.1.1", "1.2.840.10008.5.1.4.31", "1.2.840.10008.5.1.4.1.2.2.2"] {
        assert!(text.contains(uid), "{uid}");
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = cli(&["completions", shell]).success().stdout;
        assert!(script.contains("pacslab"), "{shell}");
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    let said = cli(&["serve", "--bind", "not-an-address"]).failure();
    assert!(said.stderr.contains("not-an-address"), "{said}");
}
