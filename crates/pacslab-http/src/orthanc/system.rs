//! `/system`, `/statistics`, `/health`.

use axum::extract::State;
use serde_json::json;

use super::styled;
use crate::door::At;
use crate::error::Result;

/// For load balancers and containers: alive, and the index answers. Needs no login.
pub(crate) async fn health(State(door): At) -> Result<&'static str> {
    door.archive.counts().await?;
    Ok("ok\n")
}

/// The version is Orthanc's, whose routes these are: its clients compare it. Ours is beside it.
pub(crate) async fn system(State(door): At) -> Result {
    let site = &door.site;
    let quota = door.archive.quota();
    Ok(styled(&json!({
        "ApiVersion": 27,
        "Capabilities": {
            "HasExtendedChanges": false,
            "HasExtendedFind": false,
            "HasKeyValueStores": false,
            "HasQueues": false,
        },
        "CheckRevisions": false,
        "DatabaseBackendPlugin": null,
        "DatabaseVersion": 6,
        "DicomAet": site.aet.as_str(),
        "DicomPort": site.dicom_port,
        "HasLabels": true,
        "HttpPort": site.http_port,
        "IngestTranscoding": "",
        "IsHttpServerSecure": false,
        "MaximumPatientCount": quota.patients,
        "MaximumStorageMode": if quota.delete_oldest { "Recycle" } else { "Reject" },
        "MaximumStorageSize": quota.bytes >> 20,
        "Name": site.name,
        "OverwriteInstances": false,
        "PacsLabVersion": site.version,
        "PatientLevelEnabled": true,
        "PluginsEnabled": true,
        "ReadOnly": false,
        "StorageAreaPlugin": null,
        "StorageCompression": false,
        "Version": "1.12.9",
    })))
}

pub(crate) async fn statistics(State(door): At) -> Result {
    let counts = door.archive.counts().await?;
    let (size, megabytes) = (counts.size.to_string(), counts.size / (1024 * 1024));
    Ok(styled(&json!({
        "CountInstances": counts.instances,
        "CountPatients": counts.patients,
        "CountSeries": counts.series,
        "CountStudies": counts.studies,
        "TotalDiskSize": size,
        "TotalDiskSizeMB": megabytes,
        "TotalUncompressedSize": size,
        "TotalUncompressedSizeMB": megabytes,
    })))
}
