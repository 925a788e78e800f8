//! A storage SCP that writes Part 10 files: `pacslab receive`, `pacslab get`, and the receiver of
//! the demo.
//! PS3.4 B, PS3.10 7.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pacslab_dicom::{FileMeta, TransferSyntax, dict};
use pacslab_dimse::message::{Operation, Request};
use pacslab_dimse::pdu::AssociateRq;
use pacslab_dimse::service::store::{StoreBegin, StoreHandler, StoreSink, Stored};
use pacslab_dimse::service::{store, verification};
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context, Decision, Error, Handler, Offer, SecureAcceptor,
    ServerConfig, Status, StatusReply, Timeouts, negotiate, refuse,
};
use pacslab_model::{Clock, Emit, Uid, uids};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A file that was received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: PathBuf,
    pub(crate) meta: FileMeta,
    pub(crate) bytes: u64,
    /// `MOVESCU@127.0.0.1:50112`
    pub(crate) peer: String,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "path": self.path.display().to_string(), "sop_class": self.meta.sop_class,
            "sop_instance": self.meta.sop_instance,
            "transfer_syntax": self.meta.transfer_syntax.uid(),
            "bytes": self.bytes, "peer": self.peer,
        })
    }
}

/// Receives into a folder.
#[derive(Debug)]
pub(crate) struct Inbox {
    folder: PathBuf,
    received: mpsc::UnboundedSender<Received>,
    number: AtomicU64,
}

impl Inbox {
    /// The folder is made when it is not there; every file that was written is told to
    /// `received`, before its sender gets the answer.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(
        folder: &Path,
        received: mpsc::UnboundedSender<Received>,
    ) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(folder)?;
        Ok(Arc::new(Self { folder: folder.to_owned(), received, number: AtomicU64::new(0) }))
    }

    /// Takes associations until `shutdown` is ready.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        secure: Option<Arc<dyn SecureAcceptor>>,
        idle: Duration,
        events: Arc<dyn Emit>,
        clock: Arc<dyn Clock>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let timeouts = Timeouts { idle, ..Timeouts::default() };
        let config = ServerConfig {
            timeouts,
            secure,
            ..ServerConfig::new(Arc::new(Anybody), events, clock)
        };
        pacslab_dimse::serve(listener, config, self, shutdown).await;
    }
}

/// Takes every peer and called title; verification and all storage SOP classes.
#[derive(Debug)]
struct Anybody;

impl Acceptor for Anybody {
    fn decide(&self, request: &AssociateRq, _: SocketAddr) -> Decision {
        Decision::Accept(negotiate(request, &|uid: &Uid| {
            if uid.as_str() == uids::VERIFICATION {
                return Some(Offer::SERVICE);
            }
            dict::is_storage(uid.as_str()).then_some(Offer::STORAGE)
        }))
    }
}

impl Handler for Inbox {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            match request.operation {
                Operation::Echo { .. } => verification::scp(association, &context, &request).await,
                Operation::Store { .. } => store::scp(association, &context, &request, self).await,
                _ => refuse(association, &context, &request).await,
            }
        })
    }
}

impl StoreHandler for Inbox {
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        // the name of the file is the UID: nothing else of the peer gets near the file system
        if !store.sop_instance.is_valid() {
            let comment = format!("SOP Instance UID '{}' is no UID", store.sop_instance);
            return Err(StatusReply::new(Status::CANNOT_UNDERSTAND, comment));
        }
        let meta = FileMeta {
            sop_class: store.sop_class.clone(),
            sop_instance: store.sop_instance.clone(),
            transfer_syntax: TransferSyntax::from_uid(store.transfer_syntax.as_str()),
            source_aet: Some(store.association.peer_title().to_owned()),
        };
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let unfinished =
            self.folder.join(format!(".{}.{process}.{number}.part", meta.sop_instance));
        let file = File::create(&unfinished).map_err(|error| full(&error))?;
        let mut sink = Sink {
            file: Some(BufWriter::with_capacity(64 * 1024, file)),
            unfinished,
            path: self.folder.join(format!("{}.dcm", meta.sop_instance)),
            bytes: 0,
            peer: store.association.peer_name(),
            received: self.received.clone(),
            meta,
        };
        let head = sink.meta.encode();
        sink.write(&head)?;
        Ok(Box::new(sink))
    }
}

/// One file under way: written beside its place, renamed when it is whole, removed when dropped.
struct Sink {
    file: Option<BufWriter<File>>,
    unfinished: PathBuf,
    path: PathBuf,
    meta: FileMeta,
    bytes: u64,
    peer: String,
    received: mpsc::UnboundedSender<Received>,
}

impl StoreSink for Sink {
    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply> {
        self.bytes += chunk.len() as u64;
        match &mut self.file {
            Some(file) => file.write_all(chunk).map_err(|error| full(&error)),
            None => Err(Status::PROCESSING_FAILURE.into()),
        }
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Stored> {
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || {
                self.keep().map_err(|error| full(&error))?;
                // whoever listens may have gone already; the file is there all the same
                let _ = self.received.send(Received {
                    path: self.path.clone(),
                    meta: self.meta.clone(),
                    bytes: self.bytes,
                    peer: self.peer.clone(),
                });
                Ok(())
            });
            Stored::from(match done.await {
                Ok(Ok(())) => StatusReply::SUCCESS,
                Ok(Err(reply)) => reply,
                Err(_) => Status::PROCESSING_FAILURE.into(),
            })
        })
    }
}

impl Sink {
    /// Success is answered after the file is on the disk under its name (invariant 9).
    fn keep(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        drop(file);
        pacslab_store::disk::patiently(|| std::fs::rename(&self.unfinished, &self.path))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // closed first: Windows removes no open files
        drop(self.file.take());
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

/// PS3.4 B.2.3: what cannot be written is out of resources, and says why.
fn full(error: &io::Error) -> StatusReply {
    StatusReply::new(Status::OUT_OF_RESOURCES, format!("cannot write the file: {error}"))
}

#[cfg(test)]
mod tests {
    use pacslab_dicom::{Dataset, encode, file};
    use pacslab_dimse::service::store::StoreRequest;
    use pacslab_dimse::{AssociationInfo, Proposal, Remote, Requestor};
    use pacslab_model::event::Silent;
    use pacslab_model::{AeTitle, Vr, tags};

    use super::*;
    use crate::clock::SystemClock;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn what_is_sent_becomes_a_file_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, mut received) = mpsc::unbounded_channel();
        let inbox = Inbox::new(folder.path(), sender).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(inbox.serve(
            listener,
            None,
            Duration::from_secs(5),
            Arc::new(Silent),
            Arc::new(SystemClock),
            async move {
                let _ = stopped.await;
            },
        ));
        let aet = AeTitle::new("PYNETSCP").unwrap();
        let remote = Remote { aet, host: "127.0.0.1".into(), port, tls: false };
        let us = Requestor::silent(AeTitle::new("PYMOD1").unwrap());
        let proposal = Proposal::of(uids::CT_IMAGE_STORAGE);
        let mut association = Association::connect(&us, &remote, proposal).await.unwrap();
        let set = Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "P12345");
        let data = encode(&set, &TransferSyntax::ExplicitLe);
        let (class, syntax) = (Uid::new(uids::CT_IMAGE_STORAGE), Uid::new(uids::EXPLICIT_VR_LE));
        for (uid, stored) in [("1.2.3", true), ("../../etc/passwd", false), ("1.2.3", true)] {
            let uid = Uid::new(uid);
            let request = StoreRequest::new(&class, &uid, &syntax, &data);
            let reply = association.store(request).await.unwrap();
            assert_eq!(reply.status.is_success(), stored, "{uid}: {reply}");
        }
        association.release().await.unwrap();
        stop.send(()).unwrap();
        serving.await.unwrap();
        assert_eq!(names(folder.path()), ["1.2.3.dcm"]);
        let one = received.recv().await.unwrap();
        let (meta, found) = file::read(&std::fs::read(&one.path).unwrap()).unwrap();
        assert_eq!((found, meta.source_aet.as_deref()), (set, Some("PYMOD1")));
    }

    #[tokio::test]
    async fn half_an_object_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, _received) = mpsc::unbounded_channel();
        let inbox = Inbox::new(folder.path(), sender).unwrap();
        let info = Arc::new(AssociationInfo {
            role: pacslab_dimse::fsm::Role::Acceptor,
            calling: "PYMOD1".into(),
            called: "PYNETSCP".into(),
            peer: "127.0.0.1:1".parse().unwrap(),
            implementation_class: Uid::default(),
            implementation_version: String::new(),
            peer_max_pdu: 0,
            roles: Vec::new(),
            user: None,
            window: pacslab_dimse::Window::SYNCHRONOUS,
        });
        let (class, uid) = (Uid::new(uids::CT_IMAGE_STORAGE), Uid::new("1.2.3"));
        let syntax = Uid::new(uids::EXPLICIT_VR_LE);
        let begin = StoreBegin {
            association: &info,
            abstract_syntax: &class,
            transfer_syntax: &syntax,
            sop_class: &class,
            sop_instance: &uid,
            message_id: 1,
            originator: None,
        };
        let mut sink = inbox.begin(begin).unwrap();
        sink.write(&[0; 100]).unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(sink);
        assert!(names(folder.path()).is_empty());
    }
}
