//! The page itself.

use axum::extract::State;

use super::{escape, html, lists};
use crate::door::At;
use crate::error::Result;

const PAGE: &str = include_str!("assets/index.html");

pub(super) async fn page(State(door): At) -> Result {
    let site = &door.site;
    let mut ports = format!("DICOM {} · HTTP {}", site.dicom_port, site.http_port);
    if let Some(mllp) = site.mllp_port {
        ports.push_str(&format!(" · HL7 {mllp}"));
    }
    let fill = [
        ("{{aet}}", escape(site.aet.as_str())),
        ("{{ports}}", ports),
        ("{{version}}", escape(&site.version)),
        ("{{dicomweb}}", escape(&site.dicomweb_root)),
        ("{{worklist}}", lists::worklist_html(&door).await?),
        ("{{studies}}", lists::studies_html(&door).await?),
        ("{{events}}", lists::events_html(&door).await?),
    ];
    // in one pass over the template: what was filled in is never looked at again
    let mut text = String::with_capacity(PAGE.len() * 2);
    let mut rest = PAGE;
    while let Some(at) = rest.find("{{") {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        match fill.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                text.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                text.push_str("{{");
                rest = &rest[2..];
            }
        }
    }
    text.push_str(rest);
    Ok(html(text))
}
