//! `/{level}/{id}/archive` and `/tools/create-archive`: a ZIP file of all objects, in folders named
//! as Orthanc names them. Pieces of one object are in memory at a time, however many and large there are: the CRC-32 that
//! stands before each is the one the packs keep.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pacslab_model::{Key, Level, Query, Test, Vr, tags};
use pacslab_store::{Row, Scope, Stored};
use serde::Deserialize;

use super::{change, resource};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::question;
use crate::stream::{Gone, Pipe, pipe};
use crate::zip::Zip;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wish {
    asynchronous: bool,
    synchronous: Option<bool>,
    transcode: Option<String>,
    resources: Vec<String>,
}

impl Wish {
    /// What cannot be had is refused by name.
    fn check(&self) -> Result<()> {
        if self.asynchronous || self.synchronous == Some(false) {
            return Err(Error::BadRequest(
                "archives are sent while they are made; leave Asynchronous out".to_owned(),
            ));
        }
        if self.transcode.is_some() {
            return Err(Error::BadRequest(
                "archives hold the objects as they are stored; leave Transcode out".to_owned(),
            ));
        }
        Ok(())
    }
}

/// `GET /{level}/{id}/archive`
pub(crate) async fn get(level: Level, State(door): At, Path(id): Path<String>) -> Result {
    let row = resource::row(&door, level, &id).await?;
    send(&door, &[(level, row.str(level.key()).to_owned())], &id).await
}

/// `POST /{level}/{id}/archive`
pub(crate) async fn post(level: Level, at: At, path: Path<String>, body: Body) -> Result {
    let wish: Wish = read(&question(&at.0, body).await?)?;
    wish.check()?;
    get(level, at, path).await
}

/// `POST /tools/create-archive`: a list of identifiers, or an object with `Resources`.
pub(crate) async fn create(State(door): At, body: Body) -> Result {
    let body = question(&door, body).await?;
    let wish = match serde_json::from_slice(&body) {
        Ok(resources) => Wish { resources, ..Wish::default() },
        Err(_) => read(&body)?,
    };
    wish.check()?;
    let mut all = Vec::new();
    for id in &wish.resources {
        let (level, key) = change::any(&door, id)
            .await?
            .ok_or_else(|| Error::NotFound(format!("there is no resource {id}")))?;
        all.push((level, key.to_string()));
    }
    send(&door, &all, "Archive").await
}

fn read(body: &[u8]) -> Result<Wish> {
    serde_json::from_slice(body)
        .map_err(|e| Error::BadFile(format!("the body must be an object in JSON: {e}")))
}

async fn send(door: &Arc<Door>, resources: &[(Level, String)], name: &str) -> Result {
    let mut seen = HashSet::new();
    let mut members = Vec::new();
    let mut names = Names::default();
    for (level, key) in resources {
        let mut stored = door.archive.instances(Scope::of(*level, key.as_str())).await?;
        stored.retain(|one| seen.insert(one.sop_instance.clone()));
        let mut series: HashMap<String, Option<Row>> = HashMap::new();
        for one in stored {
            let uid = one.series_uid.to_string();
            if !series.contains_key(&uid) {
                let test = Test::Value(uid.clone());
                let key = Key { tag: tags::SERIES_INSTANCE_UID, vr: Vr::UI, test };
                let query = Query { limit: Some(1), ..Query::new(Level::Series).key(key) };
                series.insert(uid.clone(), door.archive.find(query).await?.into_iter().next());
            }
            if let Some(Some(row)) = series.get(&uid) {
                members.push((names.of(row), one));
            }
        }
    }
    let (pipe, body) = pipe(door.limits.pause);
    let archive = door.clone();
    tokio::spawn(async move {
        if let Err(Some(why)) = write(&archive, members, &pipe).await {
            pipe.fail(why).await;
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, format!("filename=\"{name}.zip\"")),
    ];
    Ok::<Response, Error>((headers, body).into_response())
}

/// `Err(None)`: nobody reads any more.
async fn write(
    door: &Arc<Door>,
    members: Vec<(String, Stored)>,
    pipe: &Pipe,
) -> std::result::Result<(), Option<String>> {
    let gone = |Gone| None;
    let mut zip = Zip::new(now(door));
    for (name, stored) in members {
        let mut pieces = door.archive.pieces(&stored);
        let mut next = match pieces.next().await {
            Ok(first) => first,
            // deleted since
            Err(error)
                if door.archive.instances(scope(&stored)).await.is_ok_and(|s| s.is_empty()) =>
            {
                tracing::info!(%error, "an object of an archive was deleted meanwhile");
                continue;
            }
            Err(error) => return Err(Some(error.to_string())),
        };
        let at = stored.location;
        pipe.send(zip.member(&name, at.crc, at.len)).await.map_err(gone)?;
        while let Some(bytes) = next {
            pipe.send(bytes).await.map_err(gone)?;
            next = pieces.next().await.map_err(|error| Some(error.to_string()))?;
        }
    }
    pipe.send(zip.end()).await.map_err(gone)
}

fn scope(stored: &Stored) -> Scope {
    Scope::instance(stored.sop_instance.as_str())
}

fn now(door: &Door) -> [u16; 6] {
    let now = door.clock.now();
    let (day, time) = (now.da(), now.tm());
    let part = |text: &str, from: usize, to: usize| {
        text.get(from..to).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    [
        part(&day, 0, 4),
        part(&day, 4, 6),
        part(&day, 6, 8),
        part(&time, 0, 2),
        part(&time, 2, 4),
        part(&time, 4, 6),
    ]
}

/// Folders and files by Orthanc's rules; what would be called alike gets a number.
#[derive(Default)]
struct Names {
    /// Of each series: its folder, and how many files it has.
    series: HashMap<String, (String, u32)>,
    /// Folders by the resource they are of.
    folders: HashMap<(Level, String), String>,
    taken: HashSet<String>,
}

impl Names {
    fn of(&mut self, row: &Row) -> String {
        let patient = self.folder(row, Level::Patient, "", [tags::PATIENT_ID, tags::PATIENT_NAME]);
        let named = [tags::ACCESSION_NUMBER, tags::STUDY_DESCRIPTION];
        let study = self.folder(row, Level::Study, &patient, named);
        let named = [tags::MODALITY, tags::SERIES_DESCRIPTION];
        let folder = self.folder(row, Level::Series, &study, named);
        let uid = row.str(tags::SERIES_INSTANCE_UID).to_owned();
        let (folder, count) = self.series.entry(uid).or_insert((folder, 0));
        let number = *count;
        *count += 1;
        let modality = plain(row.str(tags::MODALITY)).to_uppercase();
        let modality: String = modality.chars().take(2).collect();
        let digits = 8 - modality.len();
        format!("{folder}/{modality}{number:0digits$}.dcm")
    }

    fn folder(
        &mut self,
        row: &Row,
        level: Level,
        within: &str,
        named: [pacslab_model::Tag; 2],
    ) -> String {
        let key = (level, row.str(level.key()).to_owned());
        if let Some(folder) = self.folders.get(&key) {
            return folder.clone();
        }
        let mut name = plain(&named.map(|tag| row.str(tag)).join(" "));
        if name.is_empty() {
            name = format!("Unknown {}", super::singular(level));
        }
        if !within.is_empty() {
            name = format!("{within}/{name}");
        }
        let mut folder = name.clone();
        let mut number = 1;
        while !self.taken.insert(folder.clone()) {
            number += 1;
            folder = format!("{name}-{number}");
        }
        self.folders.insert(key, folder.clone());
        folder
    }
}

/// Letters and digits of ASCII, dots and underscores; a circumflex is a space, and of several
/// spaces there remains one.
fn plain(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| if c == '^' { ' ' } else { c })
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || c.is_ascii_whitespace())
        .collect();
    let joined = kept.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    // `..` would lead out of the folder
    joined.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe() {
        assert_eq!(plain("DOE^JANE  ^"), "DOE JANE");
        assert_eq!(plain("../../etc/pass-wd"), "etcpasswd");
        assert_eq!(plain(".."), "");
        assert_eq!(plain("Dö:*?\\"), "D");
    }
}
