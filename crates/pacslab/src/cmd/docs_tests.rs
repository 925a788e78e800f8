//! `docs/cli.md`, from the commands themselves.

use clap::{Command, CommandFactory};

use crate::cmd::{Cli, Example};
use crate::exit::CODES;

#[test]
fn the_documentation_of_the_commands_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let wanted = page();
    if std::env::var_os("PACSLAB_REFRESH").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default().replace('\r', "");
    assert!(
        found == wanted,
        "docs/cli.md is not current; refresh it with PACSLAB_REFRESH=1 cargo test -p pacslab current"
    );
}

fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    page += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for (exit, meaning) in CODES {
        page += &format!("| {} | {meaning} |\n", *exit as u8);
    }
    page += COMMON;
    page += "\n## Commands\n";
    let examples = crate::cmd::Command::examples();
    list(&mut page, &Cli::command(), "pacslab", &examples);
    page + PROFILE
}

fn list(page: &mut String, command: &Command, path: &str, examples: &[Example]) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            list(page, sub, &path, examples);
            continue;
        }
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        *page += &format!("\n### {path}\n{about}.\n\n```sh\n");
        let mine = |line: &&Example| line.0 == path || line.0.starts_with(&format!("{path} "));
        for (line, meaning) in examples.iter().filter(mine) {
            *page += &format!("{line}\n# {meaning}\n");
        }
        *page += "```\n";
    }
}

const INTRODUCTION: &str = "\
# Command line

<!-- Made from crates/pacslab/src/cmd. Refresh:
     PACSLAB_REFRESH=1 cargo test -p pacslab current -->

`pacslab demo` plays the whole workflow, `pacslab serve` starts the department; every other
command does one step of it, with the embedded department or with any other PACS or RIS. Each has
`--help` with its options. Not a medical device; synthetic data only.

Results go to standard output; warnings, progress and errors to standard error, errors as
`error: ...` and, where something can be done, `hint: ...`. With `--json` results are JSON: one
document, or one line for each thing as it happens (`receive`, `watch`, `echo`, `hl7 send`); the
error is then one object with `error`, `hint` and `exit`.
";

const COMMON: &str = "
## Whom commands talk to

`echo`, `send`, `find`, `get`, `move`, `worklist find`, `acquire` and `fhir export` talk to the
embedded PACS unless told otherwise: `--pacs AET@host:port`, `--pacs host:port`, or `--pacs NAME`
with a name from `[peers]` of the [configuration](configuration.md). `--host`, `--port` and `--aet`
replace parts of it, `--calling` is our own title (PYMOD1), `--timeout` how long an answer may take.
`client.pacs` changes the default.

`modality`, `push`, `verify`, `watch` and `fhir export --dicom-web` talk to an HTTP door: `--url` and
`--login NAME:PASSWORD`, of the embedded PACS unless told otherwise, or of an Orthanc.
";

const PROFILE: &str = "
## The demo with another PACS

`pacslab demo --pacs FILE` plays the same steps with a PACS that runs already, an Orthanc for
one. Only what the PACS lacks is started here: a RIS with its HL7 port, the scanner, and the
receiver, which is registered with the PACS by `PUT /modalities`. The file says where everybody is;
the first three keys are needed, the others are shown with what they are if left out:

```toml
pacs = \"ORTHANC@127.0.0.1:4242\"        # C-FIND, C-STORE, C-MOVE
http = \"http://127.0.0.1:8042\"         # REST and DICOMweb
worklists = \"worklists\"                # the folder that the PACS serves; .wl files are written here
login = \"orthanc:orthanc\"
scanner = \"PYMOD1\"                     # calls the PACS, which has to know it
receiver = \"PYNETSCP:11112\"            # title and port; started here
# advertise_host = \"host.docker.internal\"   # this computer, as the PACS reaches it
dicom_web = \"/dicom-web\"
# hl7 = \"127.0.0.1:2575\"                # somebody else's RIS, instead of one started here
data = \"data/ris\"                      # where a RIS started here keeps its orders
inbox = \"data/inbox\"
samples = \"data/samples\"

[[orders]]                             # the options of an order as keys; several are allowed
accession = \"ACC2001\"
patient-id = \"P777\"
name = \"ROE^JOHN\"
sex = \"M\"
```

Without `advertise_host` the receiver is registered at `host.docker.internal` if this computer knows
that name, as it does with Docker Desktop, else at the address by which it reaches the PACS; the PACS
tries it (C-ECHO) before the first step. A receiver for other computers has to listen there, too:
`receiver.bind = \"0.0.0.0\"`. Orthanc aborts titles that it does not know: PYMOD1 belongs into its
`DicomModalities`, or is added with `pacslab modality register PYMOD1@127.0.0.1:104`.
";
