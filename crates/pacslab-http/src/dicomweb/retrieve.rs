//! Retrieve of studies, series and instances (WADO-RS). PS3.18 10.4.
//!
//! What is sent as it is stored leaves as it is read; of what is changed to another transfer syntax,
//! one object is in memory at a time, however many are sent.

use std::sync::Arc;

use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pacslab_archive::{Decoded, Object, Room, syntax_of};
use pacslab_dicom::{FileMeta, TransferSyntax, file};
use pacslab_store::Stored;

use super::Place;
use super::accept::{AcceptParam, Media, accepted};
use super::multipart::Boundary;
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::object::{self, File, Held, Rest};
use crate::stream::{Gone, Pipe, pipe};

/// How the objects leave.
#[derive(Clone, PartialEq, Debug)]
enum Encoding {
    AsStored,
    /// In this transfer syntax, whatever they are stored in.
    In(TransferSyntax),
    /// In the default of DICOMweb (PS3.18 8.7.3.5.2), except those that cannot be decoded here.
    Default,
}

pub(super) async fn retrieve(
    State(door): At,
    Path(place): Path<Place>,
    Params(param): Params<AcceptParam>,
    headers: HeaderMap,
) -> Result {
    let instances = instances(&door, &place).await?;
    let mut refused = String::new();
    for media in accepted(&param, &headers) {
        let fits = matches!(media.inner().as_str(), "application/dicom" | "application/*" | "*/*");
        // without multipart there is room for one
        let single = media.name == "application/dicom";
        if !fits || (single && instances.len() > 1) {
            continue;
        }
        match choose(&media, &instances) {
            Ok(encoding) if single => return one(&door, &instances[0], &encoding).await,
            Ok(encoding) => return Ok(all(&door, instances, encoding)),
            Err(why) => refused = why,
        }
    }
    if refused.is_empty() {
        refused = "objects come as multipart/related; type=\"application/dicom\"".to_owned();
    }
    Err(Error::NotAcceptable(refused))
}

/// What is at this address, in order.
pub(super) async fn instances(door: &Arc<Door>, place: &Place) -> Result<Vec<Stored>> {
    let instances = door.archive.instances(place.scope()).await?;
    if instances.is_empty() {
        return Err(Error::NotFound(format!("{} is not in the archive", place.describe())));
    }
    Ok(instances)
}

fn choose(media: &Media, instances: &[Stored]) -> Result<Encoding, String> {
    let wanted = match media.transfer_syntax() {
        Some("*") => return Ok(Encoding::AsStored),
        Some(uid) => TransferSyntax::from_uid(uid),
        None => return Ok(Encoding::Default),
    };
    for stored in instances {
        let held = syntax_of(stored);
        let stuck = held.is_encapsulated() && !pacslab_codec::can_decode(&held);
        if held != wanted && (stuck || wanted.is_encapsulated()) {
            return Err(format!(
                "instance {} is stored in transfer syntax {} and cannot be changed to {}; ask for \
                 transfer-syntax=*",
                stored.sop_instance,
                held.uid(),
                wanted.uid()
            ));
        }
    }
    Ok(Encoding::In(wanted))
}

async fn one(door: &Arc<Door>, stored: &Stored, encoding: &Encoding) -> Result {
    let (syntax, file) = encoded(door, stored, encoding).await?;
    let kind = [(header::CONTENT_TYPE, part_type(&syntax))];
    Ok(match file {
        File::Whole(bytes) => (kind, bytes).into_response(),
        File::Long(..) => (kind, object::answer(door, stored, file)).into_response(),
    })
}

fn all(door: &Arc<Door>, instances: Vec<Stored>, encoding: Encoding) -> Response {
    let (pipe, body) = pipe(door.limits.pause);
    let boundary = Boundary::of(&instances[0]);
    let response = boundary.response("application/dicom", body);
    let door = door.clone();
    tokio::spawn(async move {
        match parts(&door, &pipe, &boundary, &instances, &encoding).await {
            Ok(Ok(()) | Err(Gone)) => {}
            Err(why) => pipe.fail(why).await,
        }
    });
    response
}

async fn parts(
    door: &Arc<Door>,
    pipe: &Pipe,
    boundary: &Boundary,
    instances: &[Stored],
    encoding: &Encoding,
) -> Result<Result<(), Gone>> {
    for stored in instances {
        let (syntax, file) = encoded(door, stored, encoding).await?;
        if boundary.begin(pipe, &part_type(&syntax)).await.is_err()
            || file.send(pipe).await?.is_err()
            || boundary.close(pipe).await.is_err()
        {
            return Ok(Err(Gone));
        }
    }
    Ok(boundary.end(pipe).await)
}

fn part_type(syntax: &TransferSyntax) -> String {
    format!("application/dicom; transfer-syntax={}", syntax.uid())
}

async fn encoded(
    door: &Arc<Door>,
    stored: &Stored,
    encoding: &Encoding,
) -> Result<(TransferSyntax, File)> {
    let held = syntax_of(stored);
    let wanted = match encoding {
        Encoding::AsStored => held.clone(),
        Encoding::In(wanted) => wanted.clone(),
        Encoding::Default => TransferSyntax::ExplicitLe,
    };
    if wanted == held {
        return Ok((held, File::read(door, stored).await?));
    }
    let room = object::room(door, stored).await?;
    let object = door.archive.object(stored).await?;
    let changed = object::with(object, move |object| changed(&object, &wanted, room)).await;
    match changed {
        // nobody asked for this syntax by name: better as it is than not at all
        Err(_) if *encoding == Encoding::Default => Ok((held, File::read(door, stored).await?)),
        other => other,
    }
}

fn changed(
    object: &Object,
    syntax: &TransferSyntax,
    room: Option<Room>,
) -> Result<(TransferSyntax, File)> {
    let held = &object.meta.transfer_syntax;
    let meta = FileMeta { transfer_syntax: syntax.clone(), ..object.meta.clone() };
    let mut set = object::dataset(object)?;
    if Decoded::suits(&set, held, syntax) {
        let decoded = Box::new(Decoded::new(set, held, syntax)?);
        let rest = Rest::Decoded { decoded, _room: room };
        return Ok((syntax.clone(), File::Long(meta.encode().into(), rest)));
    }
    if held.is_encapsulated() {
        set = pacslab_codec::decompress(&set, held, LARGEST)?;
    }
    let bytes = Held { bytes: file::write(&meta, &set), _room: room };
    Ok((syntax.clone(), File::Whole(Bytes::from_owner(bytes))))
}

/// Bytes of pixels that one object may have when it is decoded: it is in memory then.
const LARGEST: usize = 1 << 30;
