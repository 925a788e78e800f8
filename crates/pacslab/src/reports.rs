//! Signed reports become objects of the archive: a Basic Text SR in the study that was read. IHE RAD
//! TF-2 4.24 (RAD-24).
//!
//! The RIS leaves on its desk what is to be filed; the archive takes the object in like any other,
//! and only then it is taken off the desk. After a crash between the two the same object is made
//! again, and the archive knows it.

use std::sync::Arc;
use std::time::Duration;

use pacslab_archive::{Archive, Origin};
use pacslab_modality::sr::{self, Reading};
use pacslab_model::order::Order;
use pacslab_model::{Clock, Key, Level, Query, Test, Vr, tags};
use pacslab_ris::{ReportRecord, Ris};
use pacslab_store::Scope;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

const BATCH: usize = 20;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Files what is to be filed, as it comes, without end.
pub(crate) async fn follow(archive: Arc<Archive>, ris: Arc<Ris>, clock: Arc<dyn Clock>) {
    loop {
        match catch_up(&archive, &ris, &*clock).await {
            Ok(()) => ris.to_file_reports().await,
            Err(error) => {
                tracing::error!("a report cannot be filed in the archive: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn catch_up(archive: &Arc<Archive>, ris: &Arc<Ris>, clock: &dyn Clock) -> Result<(), Failed> {
    loop {
        let desk = ris.clone();
        let todo = tokio::task::spawn_blocking(move || desk.reports_to_file(BATCH)).await??;
        if todo.is_empty() {
            return Ok(());
        }
        for (key, record, order) in todo {
            file(archive, &record, &order, clock).await?;
            let desk = ris.clone();
            tokio::task::spawn_blocking(move || desk.report_filed(&key)).await??;
        }
    }
}

async fn file(
    archive: &Arc<Archive>,
    record: &ReportRecord,
    order: &Order,
    clock: &dyn Clock,
) -> Result<(), Failed> {
    let study = order.procedure.study_uid.as_str();
    let seen = archive.instances(Scope::study(study)).await?;
    let own = |class: &str| class.starts_with("1.2.840.10008.5.1.4.1.1.88.");
    let seen = seen.into_iter().filter(|one| !own(one.sop_class.as_str()));
    let of_study =
        Key { tag: tags::STUDY_INSTANCE_UID, vr: Vr::UI, test: Test::Value(study.to_owned()) };
    let rows = archive.find(Query::new(Level::Study).key(of_study)).await?;
    let text = |tag| rows.first().map_or(String::new(), |row| row.str(tag).to_owned());
    let reading = Reading {
        sections: record.sections.iter().map(|one| (one.code.clone(), one.text.clone())).collect(),
        reader: record.interpreter.clone(),
        reader_id: record.interpreter_id.clone(),
        version: record.version,
        corrects: record.corrects,
        complete: record.state.is_signed(),
        verified: record.state.is_signed(),
        date: record.date.clone(),
        time: record.time.clone(),
        evidence: seen.map(|one| (one.series_uid, one.sop_class, one.sop_instance)).collect(),
        study_date: text(tags::STUDY_DATE),
        study_time: text(tags::STUDY_TIME),
        study_id: text(tags::STUDY_ID),
        study_description: text(tags::STUDY_DESCRIPTION),
    };
    let object = sr::basic_text(order, &reading, clock.now());
    let origin = Origin { calling_ae: String::new(), remote: "RIS".to_owned() };
    archive.ingest_file(&object.bytes(), origin).await?;
    Ok(())
}
