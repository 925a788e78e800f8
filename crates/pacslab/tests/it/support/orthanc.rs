//! A real Orthanc on free ports with folders of its own, worklists and DICOMweb switched on.

use super::process::Running;
use super::{http, peers, wait};
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Orthanc {
    pub(crate) dicom: u16,
    pub(crate) http: u16,
    _process: Running,
    _folder: TempDir,
}

impl Orthanc {
    /// Serves the worklist files of a folder; knows the modalities (AE title and port).
    #[track_caller]
    pub(crate) fn start(worklists: &Path, modalities: &[(&str, u16)]) -> Self {
        let open = json!({
            "DicomAlwaysAllowFind": true, "DicomAlwaysAllowFindWorklist": true,
            "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true,
        });
        Self::with(worklists, modalities, open)
    }

    /// The same with more settings, and without what every title may do.
    #[track_caller]
    pub(crate) fn with(
        worklists: &Path,
        modalities: &[(&str, u16)],
        more: serde_json::Value,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (dicom, http) = (wait::free_port(), wait::free_port());
        let storage = folder.path().join("storage");
        let known: serde_json::Map<_, _> = modalities
            .iter()
            .map(|(aet, port)| ((*aet).to_string(), json!([aet, "127.0.0.1", port])))
            .collect();
        let mut config = json!({
            "Name": "interop", "StorageDirectory": storage, "IndexDirectory": storage,
            "DicomAet": "ORTHANC", "DicomPort": dicom, "HttpPort": http,
            "RemoteAccessAllowed": false, "AuthenticationEnabled": true,
            "RegisteredUsers": { "orthanc": "orthanc" },
            "DicomModalities": known,
            "Plugins": plugins().expect("needs!(\"Orthanc\") has looked for them"),
            // older plugins read Database, newer ones Directory
            "Worklists": { "Enable": true, "Database": worklists, "Directory": worklists },
            "DicomWeb": { "Enable": true, "Root": "/dicom-web/" },
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        let path = folder.path().join("orthanc.json");
        std::fs::write(&path, config.to_string()).expect("the configuration is written");
        let mut command = peers::command("Orthanc");
        // DCMTK's switch against Nagle's algorithm, without which each message costs 40 ms
        command.arg(&path).env("TCP_NODELAY", "1").current_dir(folder.path());
        let log = folder.path().join("orthanc.log");
        let process = Running::start("Orthanc", &mut command, log, false);
        wait::until_listening("Orthanc's HTTP server", http);
        wait::until_listening("Orthanc's DICOM server", dicom);
        Self { dicom, http, _process: process, _folder: folder }
    }

    pub(crate) fn get(&self, path: &str) -> http::Response {
        http::get(self.http, path)
    }

    pub(crate) fn instances(&self) -> usize {
        self.get("/instances").ok().json().as_array().map_or(0, Vec::len)
    }
}

/// The worklist and DICOMweb plugins, where Debian or the usual build puts them.
pub(crate) fn plugins() -> Option<Vec<PathBuf>> {
    let folders = ["/usr/share/orthanc/plugins", "/usr/local/share/orthanc/plugins"];
    folders.iter().map(Path::new).find_map(|folder| {
        ["ModalityWorklists", "OrthancDicomWeb"]
            .iter()
            .map(|name| Some(folder.join(format!("lib{name}.so"))).filter(|path| path.is_file()))
            .collect()
    })
}
