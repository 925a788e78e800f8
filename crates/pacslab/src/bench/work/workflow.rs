//! The whole way of one examination: order by HL7, worklist, acquisition, C-STORE, and a C-FIND
//! that sees it. A new accession number each, and an association for each step, as a scanner has.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pacslab_dicom::{Dataset, TransferSyntax, encode, parse};
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{Proposal, choose_contexts};
use pacslab_model::{Clock, Uid, Vr, tags, uids};
use pacslab_ris::mllp::{MllpClient, SendError};

use super::{At, expect, find, matches, release, succeeded, worklist};
use crate::bench::images::{Form, Kinds};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::bench::size::Size;
use crate::clock::SystemClock;

#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) at: Arc<At>,
    /// Who takes the orders.
    pub(crate) hl7: String,
    pub(crate) size: Size,
}

impl Workload for Workflow {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let kinds = Kinds::of(self.size, &self.at.naming, Form::Bare);
            let object = kinds.objects().into_iter().next();
            let image =
                object.and_then(|object| parse(&object.bytes, &TransferSyntax::ExplicitLe).ok());
            let worker: Box<dyn Worker> = Box::new(Playing {
                at: self.at.clone(),
                orders: connect(&self.hl7, self.at.site.target.timeout).await?,
                image: image.ok_or_else(|| Fault::wrong("no image could be made"))?,
            });
            Ok(worker)
        })
    }
}

/// A connection to whoever takes orders.
pub(crate) async fn connect(hl7: &str, timeout: Duration) -> Result<MllpClient, Fault> {
    MllpClient::connect(hl7, timeout).await.map_err(|error| hl7_fault(&error))
}

/// Places an order, which has to be accepted.
pub(crate) async fn place(orders: &mut MllpClient, at: &At, study: u64) -> Result<(), Fault> {
    send(orders, at, &worklist::order(at, study, SystemClock.now())).await
}

/// Sends an order, which has to be accepted.
pub(crate) async fn send(orders: &mut MllpClient, at: &At, order: &str) -> Result<(), Fault> {
    let answered = orders.send(order.as_bytes()).await.map_err(|error| hl7_fault(&error))?;
    let ack = answered.ack;
    if !ack.code.is_accepted() {
        let kind = format!("order answered {}", ack.code.as_str());
        return Err(Fault::wrong(&*kind).detail(format!("{kind}: {}", ack.text)));
    }
    at.written.orders.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn hl7_fault(error: &SendError) -> Fault {
    let kind = match error {
        SendError::Connect { .. } => "no HL7 connection",
        SendError::Timeout { .. } => "HL7 timeout",
        _ => "HL7 connection broken",
    };
    Fault::wrong(kind).detail(error.to_string()).fatal()
}

struct Playing {
    at: Arc<At>,
    orders: MllpClient,
    image: Dataset,
}

impl Worker for Playing {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let study = self.at.next_study();
            let mut steps = Vec::with_capacity(5);
            let mut begun = Instant::now();
            let mut step = |name| {
                steps.push((name, begun.elapsed()));
                begun = Instant::now();
            };
            place(&mut self.orders, &self.at, study).await?;
            step("order");
            let item = self.worklist(study).await?;
            step("worklist");
            let (instance, bytes) = self.acquire(study, &item)?;
            step("acquire");
            self.store(&instance, &bytes).await?;
            step("store");
            self.verify(item.str(tags::STUDY_INSTANCE_UID)).await?;
            step("verify");
            Ok(Done { bytes: bytes.len() as u64, objects: 1, steps })
        })
    }
}

impl Playing {
    async fn worklist(&self, study: u64) -> Result<Dataset, Fault> {
        let proposal = Proposal::of(uids::MODALITY_WORKLIST_FIND);
        let mut association = self.at.site.associate(proposal).await?;
        let keys = worklist::keys(&self.at, study);
        let found = matches(&mut association, uids::MODALITY_WORKLIST_FIND, &keys).await?;
        release(association).await;
        expect(found.len(), 1, 1)?;
        found.into_iter().next().ok_or_else(|| Fault::wrong("matches are missing"))
    }

    /// The image of the order: what the worklist says, with pixels of the scanner.
    fn acquire(&mut self, study: u64, item: &Dataset) -> Result<(Uid, Vec<u8>), Fault> {
        let naming = &self.at.naming;
        let image = &mut self.image;
        for (tag, vr) in [
            (tags::STUDY_INSTANCE_UID, Vr::UI),
            (tags::ACCESSION_NUMBER, Vr::SH),
            (tags::PATIENT_ID, Vr::LO),
            (tags::PATIENT_NAME, Vr::PN),
            (tags::PATIENT_BIRTH_DATE, Vr::DA),
            (tags::PATIENT_SEX, Vr::CS),
        ] {
            image.put_str(tag, vr, item.str(tag));
        }
        if item.str(tags::PATIENT_ID) != naming.patient_id(study) {
            return Err(Fault::wrong("the worklist names another patient"));
        }
        let instance = naming.instance_uid(study, 1);
        image.put_str(tags::SERIES_INSTANCE_UID, Vr::UI, naming.series_uid(study));
        image.put_str(tags::SOP_INSTANCE_UID, Vr::UI, instance.as_str());
        image.put_str(tags::STUDY_DATE, Vr::DA, SystemClock.now().da());
        image.put_str(tags::INSTANCE_NUMBER, Vr::IS, "1");
        Ok((Uid::new(instance), encode(image, &TransferSyntax::ExplicitLe)))
    }

    async fn store(&self, instance: &Uid, bytes: &[u8]) -> Result<(), Fault> {
        let class = Uid::new(self.image.str(tags::SOP_CLASS_UID));
        let syntax = Uid::new(uids::EXPLICIT_VR_LE);
        let contexts = choose_contexts([(&class, &syntax)]).concat();
        let mut association = self.at.site.associate(contexts).await?;
        let request = StoreRequest::new(&class, instance, &syntax, bytes);
        let reply = association.store(request).await?;
        succeeded("C-STORE", &reply)?;
        self.at.wrote(1, bytes.len() as u64);
        release(association).await;
        Ok(())
    }

    async fn verify(&self, study_uid: &str) -> Result<(), Fault> {
        let mut association = self.at.site.associate(Proposal::of(uids::STUDY_ROOT_FIND)).await?;
        let keys = find::study_of(study_uid);
        let found = matches(&mut association, uids::STUDY_ROOT_FIND, &keys).await?;
        release(association).await;
        expect(found.len(), 1, 1)
    }
}
