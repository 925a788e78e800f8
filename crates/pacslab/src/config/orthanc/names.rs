//! The names of Orthanc's configuration and what each is here.

/// One name.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) name: &'static str,
    pub(crate) how: How,
}

/// What becomes of its value.
#[derive(Debug)]
pub(crate) enum How {
    /// The value of a key, as it is.
    Text(&'static str),
    Switch(&'static str),
    Seconds(&'static str),
    Port(&'static str),
    /// Where the doors listen.
    RemoteAccess,
    /// DICOM TLS; Orthanc then wants certificates of those who call unless it is told otherwise.
    DicomTls,
    ClientCertificates,
    /// Orthanc deletes the oldest patients unless `MaximumStorageMode` says otherwise.
    MaximumPatients,
    MaximumSize,
    WhenFull,
    Users,
    Modalities,
    /// An object with names of its own.
    Section(&'static [Name]),
    /// Orthanc has it, we have no use for it.
    Unused,
}

impl Name {
    /// What it is here, for the documentation; `None`: nothing.
    #[cfg(test)]
    pub(crate) fn target(&self) -> Option<String> {
        Some(match &self.how {
            How::Text(key) | How::Switch(key) => format!("`{key}`"),
            How::Seconds(key) => format!("`{key}`; 0 is `1d`"),
            How::Port(key) => format!("`{key}`; 1 to 65534"),
            How::RemoteAccess => {
                "`dicom.bind` and `http.bind`: `0.0.0.0` for true, `127.0.0.1` for false".into()
            }
            How::DicomTls => "`dicom.tls`, and `tls.client_certificates`: `required`".into(),
            How::ClientCertificates => {
                "`tls.client_certificates`: `required` for true, `none` for false".into()
            }
            How::Users => {
                "`http.users`, as `plain:PASSWORD`; the first is `http.user` and `http.password`, too"
                    .into()
            }
            How::MaximumPatients => {
                "`storage.max_patients`, and `storage.when_full`: `delete-oldest`".into()
            }
            How::MaximumSize => {
                "`storage.quota`, in MiB, and `storage.when_full`: `delete-oldest`".into()
            }
            How::WhenFull => {
                "`storage.when_full`: `delete-oldest` for Recycle, `refuse` for Reject".into()
            }
            How::Modalities => "`[peers]`, with all switches".into(),
            How::Section(_) | How::Unused => return None,
        })
    }

    /// For who has to write a value.
    pub(super) fn example(&self) -> &'static str {
        match self.how {
            How::Port("http.port") => "8042",
            _ => "4242",
        }
    }
}

/// Names differ by their letters only: `ORTHANC__DICOM_WEB__ROOT` cannot say where capitals are
/// in `PostgreSQL`, `OHIF` or `OrthancExplorer2`.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A name of the outermost level.
pub(super) fn find(name: &str) -> Option<&'static Name> {
    find_in(NAMES, name)
}

pub(super) fn find_in(names: &'static [Name], name: &str) -> Option<&'static Name> {
    let wanted = letters(name);
    names.iter().find(|known| letters(known.name) == wanted)
}

const fn to(name: &'static str, how: How) -> Name {
    Name { name, how }
}

macro_rules! names {
    ($($name:literal => $how:expr,)* unused: $($unused:literal)*) => {
        &[ $( to($name, $how), )* $( to($unused, How::Unused), )* ]
    };
}

pub(crate) const NAMES: &[Name] = names! {
    "Name" => How::Text("http.name"),
    "DicomAet" => How::Text("dicom.aet"),
    "DicomPort" => How::Port("dicom.port"),
    "DicomCheckCalledAet" => How::Switch("dicom.check_called_aet"),
    "StrictAetComparison" => How::Switch("dicom.strict_aet"),
    "DicomModalities" => How::Modalities,
    "DicomAlwaysAllowEcho" => How::Switch("dicom.always_allow_echo"),
    "DicomAlwaysAllowStore" => How::Switch("dicom.always_allow_store"),
    "DicomAlwaysAllowFind" => How::Switch("dicom.always_allow_find"),
    "DicomAlwaysAllowFindWorklist" => How::Switch("dicom.always_allow_find_worklist"),
    "DicomAlwaysAllowGet" => How::Switch("dicom.always_allow_get"),
    "DicomAlwaysAllowMove" => How::Switch("dicom.always_allow_move"),
    "DicomTlsEnabled" => How::DicomTls,
    "DicomTlsCertificate" => How::Text("tls.cert"),
    "DicomTlsPrivateKey" => How::Text("tls.key"),
    "DicomTlsTrustedCertificates" => How::Text("tls.ca"),
    "DicomTlsRemoteCertificateRequired" => How::ClientCertificates,
    "DicomScpTimeout" => How::Seconds("dicom.idle_timeout"),
    "MaximumPduLength" => How::Text("dicom.max_pdu"),
    "MaximumPatientCount" => How::MaximumPatients,
    "MaximumStorageMode" => How::WhenFull,
    "MaximumStorageSize" => How::MaximumSize,
    "HttpPort" => How::Port("http.port"),
    "RemoteAccessAllowed" => How::RemoteAccess,
    "AuthenticationEnabled" => How::Switch("http.auth"),
    "RegisteredUsers" => How::Users,
    "StorageDirectory" => How::Text("storage.dir"),
    "Worklists" => How::Section(WORKLISTS),
    "DicomWeb" => How::Section(DICOM_WEB),
    unused:
    "AcceptedSopClasses" "AcceptedTransferSyntaxes" "BuiltinDecoderTranscoderOrder"
    "CaseSensitivePN" "CheckRevisions" "ConcurrentJobs" "DatabaseServerIdentifier"
    "DefaultEncoding" "DefaultPrivateCreator" "DeflatedTransferSyntaxAccepted" "DeidentifyLogs"
    "DeidentifyLogsDicomVersion" "DicomAssociationCloseDelay" "DicomCheckModalityHost"
    "DicomDefaultRetrieveMethod" "DicomEchoChecksFind" "DicomLossyTranscodingQuality"
    "DicomModalitiesInDatabase" "DicomScuPreferredTransferSyntax" "DicomScuTimeout"
    "DicomServerEnabled" "DicomThreadsCount" "DicomTlsCiphersAccepted"
    "DicomTlsMinimumProtocolVersion" "Dictionary"
    "ExecuteLuaEnabled" "ExternalDictionaries" "ExtraMainDicomTags" "H265TransferSyntaxAccepted"
    "HttpBindAddresses" "HttpCompressionEnabled" "HttpDescribeErrors" "HttpProxy"
    "HttpRequestTimeout" "HttpServerEnabled" "HttpThreadsCount" "HttpTimeout" "HttpVerbose"
    "HttpsCACertificates" "HttpsVerifyPeers" "IndexDirectory" "IngestTranscoding"
    "IngestTranscodingOfCompressed" "IngestTranscodingOfUncompressed" "JobsEngineThreadsCount"
    "JobsHistorySize" "Jpeg2000TransferSyntaxAccepted" "JpegLosslessTransferSyntaxAccepted"
    "JpegTransferSyntaxAccepted" "JpipTransferSyntaxAccepted" "KeepAlive" "KeepAliveTimeout"
    "LimitFindInstances" "LimitFindResults" "LimitJobs" "LoadPrivateDictionary" "Locale"
    "LogExportedResources" "LuaHeartBeatPeriod" "LuaScripts" "MallocArenaMax"
    "MaximumConcurrentDcmtkTranscoder" "MaximumStorageCacheSize"
    "MediaArchiveSize" "MetricsEnabled"
    "Mpeg2TransferSyntaxAccepted" "Mpeg4TransferSyntaxAccepted" "OrthancExplorerEnabled"
    "OrthancPeers" "OrthancPeersInDatabase" "OverwriteInstances" "Pkcs11" "Plugins"
    "QueryRetrieveSize" "ReadOnly" "RejectedSopClasses" "RestApiWriteToFileSystemEnabled"
    "RleTransferSyntaxAccepted" "SaveJobs" "SslCertificate" "SslCiphersAccepted" "SslEnabled"
    "SslMinimumProtocolVersion" "SslTrustedClientCertificates" "SslVerifyPeers" "StableAge"
    "StorageAccessOnFind" "StorageCommitmentReportsSize" "StorageCompression" "StoreDicom"
    "StoreMD5ForAttachments" "SyncStorageArea" "SynchronousCMove" "SynchronousZipStream"
    "TcpNoDelay" "TemporaryDirectory" "TranscodeDicomProtocol" "UnknownSopClassAccepted"
    "UserContentType" "UserMetadata" "Warnings" "WebDavDeleteAllowed" "WebDavEnabled"
    "WebDavUploadAllowed" "ZipLoaderThreads"
    // sections of plug-ins
    "AdvancedStorage" "Authorization" "AwsS3Storage" "AzureBlobStorage" "ConnectivityChecks"
    "DelayedDeletion" "Gdcm" "GoogleCloudStorage" "Housekeeper" "Indexer" "MultitenantDicom"
    "MySQL" "Odbc" "OHIF" "OrthancExplorer2" "PostgreSQL" "PythonScript" "PythonVerbose"
    "ServeFolders" "StoneWebViewer" "Tcia" "Transfers" "VolView" "WebViewer"
    "WholeSlideImaging"
};

const WORKLISTS: &[Name] = names! {
    "Database" => How::Text("worklist.dir"),
    "Directory" => How::Text("worklist.dir"),
    unused:
    "AllowDelete" "DeleteWorklistsDelay" "DeleteWorklistsOnStableStudy" "Enable"
    "FilterIssuerAet" "HousekeepingInterval" "LimitAnswers" "SaveInOrthancDatabase"
    "SetStudyInstanceUidIfMissing"
};

const DICOM_WEB: &[Name] = names! {
    "Root" => How::Text("http.dicomweb_root"),
    unused:
    "Enable" "EnableMetadataCache" "EnablePerformanceLogs" "EnableWado" "Host" "MetadataWorkerThreadsCount"
    "PublicRoot" "QidoCaseSensitive" "SeriesMetadata" "SeriesMetadataExtrapolatedTags"
    "Servers" "Ssl" "StowMaxInstances" "StowMaxSize" "StudiesMetadata"
    "StudiesMetadataExtrapolatedTags" "WadoRoot" "WadoRsLoaderThreadsCount"
};
