//! `POST /{level}/{id}/modify`, `/anonymize`: new objects made of those that are there.
//!
//! What is stored never changes: a modified study is another study, with UIDs of its own, that enters
//! the archive as images of a scanner do. Only a single instance is answered as a file and not stored.

mod edit;
mod profile;
mod value;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use pacslab_archive::{Change, Origin, Scope, Stored};
use pacslab_dicom::{Dataset, FileMeta, encode, file};
use pacslab_model::{Level, Uid, tags};
use serde_json::json;

use super::{change as deletion, ids, jobs, plural, push, resource, singular};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::question;
use crate::object;

pub(super) use value::{put as put_value, tag as tag_of};

use edit::{Edit, Purpose};

pub(crate) async fn modify(level: Level, at: At, id: Path<String>, body: Body) -> Result {
    change(level, Purpose::Modify, at, id, body).await
}

pub(crate) async fn anonymize(level: Level, at: At, id: Path<String>, body: Body) -> Result {
    change(level, Purpose::Anonymize, at, id, body).await
}

async fn change(
    level: Level,
    purpose: Purpose,
    State(door): At,
    Path(id): Path<String>,
    body: Body,
) -> Result {
    let instances = push::gather_at(&door, level, &id).await?;
    let request = edit::read(&question(&door, body).await?)?;
    let asynchronous = request.asynchronous();
    let priority = request.priority;
    let permissive = request.permissive;
    let replaces_source = request.replaces_source();
    // the same change twice makes two studies, as two examinations would
    let salt = format!("{}:{id}", door.jobs.next_name(door.clock.now()));
    let edit = Edit::new(request, purpose, level, &instances, &salt)?;
    if level == Level::Instance {
        let stored = instances.first().ok_or(Error::Unknown)?;
        let (meta, set) = changed(&door, stored, Arc::new(edit)).await?;
        let headers = [(header::CONTENT_TYPE, "application/dicom")];
        return Ok((headers, file::write(&meta, &set)).into_response());
    }
    let total = instances.len();
    let plan = jobs::Plan {
        kind: "ResourceModification",
        priority,
        content: json!({
            "Description": "REST API",
            "FailedInstancesCount": 0,
            "InstancesCount": total,
            "IsAnonymization": purpose == Purpose::Anonymize,
            "ParentResources": [&id],
            "Type": singular(level),
        }),
        asynchronous,
    };
    let (edit, working, source) = (Arc::new(edit), door.clone(), id);
    jobs::run(&door, plan, |job| async move {
        let mut failed = 0;
        for (done, stored) in instances.iter().enumerate() {
            job.check()?;
            match keep(&working, stored, edit.clone()).await {
                Ok(made) if done == failed => {
                    let depth = Level::ALL.iter().position(|one| *one == level).unwrap_or(0);
                    let made_id = made[depth].as_str();
                    job.show("ID", made_id.into());
                    job.show("Path", format!("/{}/{made_id}", plural(level)).into());
                    job.show("PatientID", made[0].as_str().into());
                }
                Ok(_) => {}
                Err(why) if !permissive => return Err(why),
                Err(_) => {
                    failed += 1;
                    job.show("FailedInstancesCount", failed.into());
                }
            }
            job.progress(done + 1, total);
        }
        if replaces_source && failed == 0 {
            let key = resource::row(&working, level, &source).await?;
            let scope = Scope::of(level, key.str(level.key()));
            deletion::change(&working, Change::Delete(scope), None).await?;
        }
        Ok(())
    })
    .await
}

/// Makes one new object and stores it; answers its identifiers from the patient down.
async fn keep(door: &Arc<Door>, stored: &Stored, edit: Arc<Edit>) -> Result<[String; 3]> {
    let (meta, set) = changed(door, stored, edit).await?;
    store(door, meta, set).await
}

/// Stores an object that was made here.
pub(super) async fn store(door: &Arc<Door>, meta: FileMeta, set: Dataset) -> Result<[String; 3]> {
    let text = |tag| set.str(tag).to_owned();
    let keys = [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID].map(text);
    let origin = Origin { calling_ae: String::new(), remote: "HTTP".to_owned() };
    let mut writer = door.archive.writer(meta.clone(), origin);
    writer.write(&encode(&set, &meta.transfer_syntax))?;
    writer.finish().await?;
    let names: [String; 3] =
        std::array::from_fn(|depth| ids::made_of(keys[..=depth].iter().map(String::as_str)));
    Ok(names)
}

async fn changed(
    door: &Arc<Door>,
    stored: &Stored,
    edit: Arc<Edit>,
) -> Result<(FileMeta, Dataset)> {
    let object = door.archive.object(stored).await?;
    object::with(object, move |object| {
        let mut set = object::dataset(&object)?;
        edit.apply(&mut set)?;
        let sop_instance = Uid::new(set.str(tags::SOP_INSTANCE_UID));
        let sop_class = Uid::new(set.str(tags::SOP_CLASS_UID));
        Ok((FileMeta { sop_instance, sop_class, ..object.meta.clone() }, set))
    })
    .await
}
