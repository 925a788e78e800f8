//! `docs/configuration.md`, from the declaration.

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
    page + PEERS
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from crates/pacslab/src/config/mod.rs. Refresh:
     PACSLAB_REFRESH=1 cargo test -p pacslab the_documentation_is_current -->

Nothing has to be configured. Values come in layers, later ones win:

1. defaults (below);
2. `pacslab.toml` in the current folder, or the file of `--config FILE`;
3. environment: `PACSLAB__SECTION__KEY`, e.g. `PACSLAB__DICOM__PORT=4243`;
4. flags of the command, e.g. `pacslab serve --dicom-port 4243`.

`pacslab config show` prints every value and where it came from; with `--toml` its output is a
`pacslab.toml`. A key that does not exist is an error which names the nearest one that does.
Durations are `500ms`, `30s`, `10m`, `2h`; paths are relative to the current folder.
";

const PEERS: &str = "
## [peers]
Whom the embedded PACS sends to when C-MOVE names them, one line each. `PYNETSCP`, the title of
`pacslab receive`, is there from the start.

```toml
[peers]
PYNETSCP = \"PYNETSCP@127.0.0.1:11112\"
ORTHANC = \"ORTHANC@192.168.1.20:4242\"
```
";
