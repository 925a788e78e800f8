//! `pacslab serve`: the department, until it is stopped.

use std::net::IpAddr;
use std::path::PathBuf;

use pacslab_model::AeTitle;

use crate::cmd::{Context, Example, help};
use crate::config::Entry;
use crate::exit::Result;

/// Start the department: PACS, worklist, HL7 and HTTP
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as super::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Folder of the archive
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the `.wl` files
    #[arg(long, value_name = "DIR")]
    worklists: Option<PathBuf>,
    /// Address that all doors listen on; 0.0.0.0 lets other computers in
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// AE title of the PACS
    #[arg(long, value_name = "TITLE")]
    aet: Option<AeTitle>,
    /// DICOM port
    #[arg(long, value_name = "N")]
    dicom_port: Option<u16>,
    /// HTTP port
    #[arg(long, value_name = "N")]
    http_port: Option<u16>,
    /// HL7 (MLLP) port
    #[arg(long, value_name = "N")]
    mllp_port: Option<u16>,
    /// Let titles that are not in [peers] do from other computers what they may from this one
    #[arg(long)]
    open: bool,
    /// Take free ports and a temporary folder that is removed at the end
    #[arg(long)]
    ephemeral: bool,
}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab serve", "DICOM on 4242, HTTP on 8042, HL7 on 2575, data in ./data"),
        ("pacslab serve --ephemeral --json", "free ports, nothing stays; the ports are printed"),
        ("pacslab serve --bind 0.0.0.0 --dicom-port 11112", "reachable from other computers"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let loaded = context.load(self.flags())?;
        crate::department::serve(loaded, self.ephemeral, context).await
    }

    fn workers(&self) -> usize {
        std::thread::available_parallelism().map_or(2, usize::from).max(2)
    }
}

impl Args {
    fn flags(&self) -> Vec<Entry> {
        let free = self.ephemeral.then_some(0);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        [
            Entry::flag("--data", "storage.dir", path(&self.data)),
            Entry::flag("--worklists", "worklist.dir", path(&self.worklists)),
            Entry::flag("--bind", "dicom.bind", self.bind),
            Entry::flag("--bind", "http.bind", self.bind),
            Entry::flag("--bind", "mllp.bind", self.bind),
            Entry::flag("--open", "dicom.open", self.open.then_some(true)),
            Entry::flag("--aet", "dicom.aet", self.aet.as_ref()),
            Entry::flag("--dicom-port", "dicom.port", self.dicom_port.or(free)),
            Entry::flag("--http-port", "http.port", self.http_port.or(free)),
            Entry::flag("--mllp-port", "mllp.port", self.mllp_port.or(free)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
