//! `GET /changes`: what has arrived, in order. As in Orthanc, what is deleted leaves the list.
//!
//! Made of the index's arrivals: each has four numbers, for the instance and for the series, study
//! and patient that it may be the first one of. So `Seq` grows and has gaps.

use axum::extract::{Query as Params, State};
use pacslab_model::Level;
use pacslab_store::Arrival;
use serde::Deserialize;
use serde_json::{Value, json};

use super::resource::timestamp;
use super::{ids, plural, singular, styled};
use crate::door::{At, Door};
use crate::error::Result;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ChangeParams {
    since: u64,
    limit: Option<usize>,
    last: Option<String>,
}

/// Numbers of one arrival.
const EACH: u64 = 4;

pub(crate) async fn changes(State(door): At, Params(params): Params<ChangeParams>) -> Result {
    /// Orthanc's default.
    const LIMIT: usize = 100;
    const MOST: usize = 10_000;
    let newest = index(&door, |index| index.last_arrival()).await?;
    let limit = match params.limit {
        _ if params.last.is_some() => EACH as usize,
        None | Some(0) => LIMIT,
        Some(limit) => limit.min(MOST),
    };
    let since = match params.last {
        Some(_) => newest.saturating_sub(1) * EACH,
        None => params.since,
    };
    let mut found: Vec<Value> = Vec::new();
    let mut cursor = since / EACH;
    while found.len() <= limit {
        let arrivals = index(&door, move |index| index.arrivals_after(cursor, LIMIT)).await?;
        let Some(end) = arrivals.last() else { break };
        cursor = end.number;
        page(&door, &arrivals, since, &mut found).await?;
    }
    let done = found.len() <= limit;
    found.truncate(limit);
    if params.last.is_some() {
        found = found.pop().into_iter().collect();
    }
    let last = found.last().and_then(|change| change["Seq"].as_u64());
    let last = last.unwrap_or_else(|| params.since.min(newest * EACH));
    Ok(styled(&json!({"Changes": found, "Done": done, "Last": last})))
}

async fn page(door: &Door, arrivals: &[Arrival], since: u64, found: &mut Vec<Value>) -> Result<()> {
    let numbers: Vec<u64> = arrivals.iter().map(|arrival| arrival.number).collect();
    let first = index(door, move |index| index.begin(&numbers)).await?;
    for (arrival, highest) in arrivals.iter().zip(first) {
        let keys = [
            arrival.patient_id.as_str(),
            arrival.study_uid.as_str(),
            arrival.series_uid.as_str(),
            arrival.sop_instance.as_str(),
        ];
        for (place, level) in Level::ALL.into_iter().rev().enumerate() {
            let seq = arrival.number * EACH - (EACH - 1) + place as u64;
            if level < highest || seq <= since {
                continue;
            }
            let id = ids::made_of(keys.into_iter().take(keys.len() - place));
            found.push(json!({
                "ChangeType": format!("New{}", singular(level)),
                "Date": timestamp(arrival.at),
                "Path": format!("/{}/{id}", plural(level)),
                "ID": id,
                "ResourceType": singular(level),
                "Seq": seq,
            }));
        }
    }
    Ok(())
}

async fn index<T: Send + 'static>(
    door: &Door,
    ask: impl FnOnce(&dyn pacslab_store::Index) -> Result<T, pacslab_store::StoreError> + Send + 'static,
) -> Result<T> {
    let index = door.archive.index().clone();
    let asked = tokio::task::spawn_blocking(move || ask(&*index)).await;
    Ok(asked
        .map_err(|_| crate::error::Error::Closing("the server is shutting down".to_owned()))??)
}
