//! `docs/configuration.md`, from the declaration.

use super::destination;
use super::orthanc::names::{How, NAMES, Name};
use super::{KEYS, SECTIONS};

pub(super) fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for (section, about) in SECTIONS {
        page += &format!("\n## [{section}]\n{}\n\n", about.trim());
        page += "| key | kind | default | meaning |\n|---|---|---|---|\n";
        for info in KEYS.iter().filter(|i| i.key.split('.').next() == Some(section)) {
            let name = info.key.rsplit('.').next().unwrap_or_default();
            let default = match info.default {
                "" => String::new(),
                text => format!("`{text}`"),
            };
            page += &format!("| `{name}` | {} | {default} | {} |\n", info.kind, info.doc.trim());
        }
    }
    page + &destinations() + USERS + PEERS + &orthanc()
}

fn destinations() -> String {
    let mut page = String::from(DESTINATIONS);
    for key in destination::KEYS {
        let default = match key.default {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        page += &format!("| `{}` | {} | {default} | {} |\n", key.name, key.kind, key.doc.trim());
    }
    page
}

/// The names of Orthanc, from the table that reads them.
fn orthanc() -> String {
    let mut page = String::from(ORTHANC);
    let mut unused = Vec::new();
    for known in NAMES {
        let inner: &[Name] = if let How::Section(inner) = &known.how { inner } else { &[] };
        let named = inner.iter().map(|name| (format!("{}.{}", known.name, name.name), name));
        let all = named.chain(inner.is_empty().then(|| (known.name.to_owned(), known)));
        for (name, known) in all {
            match known.target() {
                Some(target) => page += &format!("| `{name}` | {target} |\n"),
                None => unused.push(format!("`{name}`")),
            }
        }
    }
    page + UNUSED + &unused.join(", ") + ".\n"
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from crates/pacslab/src/config/mod.rs. Refresh:
     PACSLAB_REFRESH=1 cargo test -p pacslab the_documentation_is_current -->

Nothing has to be configured. Values come in layers, later ones win:

1. defaults (below);
2. `pacslab.toml` in the current folder, or the file of `--config FILE`, which may be an
   `orthanc.json` as well;
3. Orthanc's variables: `ORTHANC_JSON`, then `ORTHANC__…`, e.g. `ORTHANC__DICOM_PORT=4243`;
4. environment: `PACSLAB__SECTION__KEY`, e.g. `PACSLAB__DICOM__PORT=4243`;
5. flags of the command, e.g. `pacslab serve --dicom-port 4243`.

`pacslab config show` prints every value and where it came from; with `--toml` its output is a
`pacslab.toml`. A key that does not exist is an error which names the nearest one that does.
Durations are `500ms`, `30s`, `10m`, `2h`; paths are relative to the current folder.
";

const PEERS: &str = "
## [peers]
Who is known, one line each: C-MOVE goes to nobody else, and `dicom.policy` asks whether a calling
title stands here. `PYNETSCP`, the title of `pacslab receive`, is there from the start. Host `*` is
a peer that calls and listens nowhere; `+tls` at the end calls it with TLS. Instead of a text, a peer may be what Orthanc has in
`DicomModalities`: an array, or a table with switches.

```toml
[peers]
PYNETSCP = \"PYNETSCP@127.0.0.1:11112\"
ORTHANC = \"ORTHANC@192.168.1.20:4242\"
ARCHIVE = \"ARCHIVE@archive.lab:2762+tls\"
SCANNER = [\"CT1\", \"*\", 104]
VIEWER = { AET = \"VIEWER\", Host = \"192.168.1.30\", Port = 11112, AllowStore = false }
```

| | from this computer | from others | with `open` or `serve --open` |
|---|---|---|---|
| `policy = \"lab\"`, in `[peers]` | what its switches allow | the same | the same |
| `policy = \"lab\"`, not in `[peers]` | everything, and it is told as new | C-ECHO | everything |
| `policy = \"strict\"`, in `[peers]` | C-ECHO, C-STORE, and what its switches allow | the same | the same |
| `policy = \"strict\"`, not in `[peers]` | C-ECHO, C-STORE | C-ECHO, C-STORE | everything |

What is not allowed is answered with status 0x0124 (refused: not authorized) and an Error Comment;
log and event `peer.refused` name the rule and the command that changes it. `orthanc-quirks` allows
what `strict` does, but aborts instead of answering. An association on which nothing would be
allowed is rejected (calling AE title not recognized). C-MOVE to a title that is not here is 0xA801,
with `orthanc-quirks` 0xC000 as Orthanc has it.
";

const DESTINATIONS: &str = "
## [hl7.destinations.NAME]
Where HL7 messages go, a table each, under a name of letters, digits, `_` and `-`. docs/hl7.md says
what is told and what becomes of messages that cannot be delivered.

```toml
[hl7.destinations.archive]
host = \"192.168.1.20\"
port = 2575
send = \"orders\"
form = \"OMI\"

[hl7.destinations.hospital]
host = \"his.example.org\"
send = \"status, reports\"
version = \"2.3.1\"
charset = \"8859/1\"
```

| key | kind | default | meaning |
|---|---|---|---|
";

const USERS: &str = "
## [http.users]
Who may log in: name and argon2 hash, one line each. `pacslab user add NAME` keeps users in the data
folder instead and needs no restart; `pacslab user hash` prints a hash for this section.

```toml
[http.users]
jane = \"$argon2id$v=19$m=19456,t=2,p=1$…\"
test = \"plain:secret\"
```

The login that is built in, orthanc/orthanc, works from this computer only, and only as long as
there are no users here or in the data folder and `http.password` is as it was.
";

const ORTHANC: &str = "
## Orthanc's names
An `orthanc.json` (comments and `${NAME}`, `${NAME:-default}` are understood), `ORTHANC_JSON` and
`ORTHANC__…` variables are read as Orthanc reads them: `ORTHANC__DICOM_WEB__ROOT` is `Root` of
`DicomWeb`, values are JSON where they can be, `…_SECRET` names a file that holds the value
(`/run/secrets/NAME`), and `ORTHANC_PASSWORD` makes the user `orthanc`.

| Orthanc | here |
|---|---|
";

const UNUSED: &str = "
Known and not used here, which a warning tells when they are set: ";
