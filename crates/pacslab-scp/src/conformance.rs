//! The DICOM conformance statement, made from [`SERVICES`]. PS3.2.

use std::fmt::Write;

use pacslab_dicom::dict;
use pacslab_dimse::{Offer, Syntaxes};

use crate::services::{AbstractSyntax, SERVICES};

/// `docs/conformance.md`.
pub fn statement() -> String {
    let mut page = String::from(INTRODUCTION);
    page += "\n## Services as SCP\n\n| service | SOP class | command | section | transfer syntaxes |\n|---|---|---|---|---|\n";
    for row in SERVICES {
        let class = match row.abstract_syntax {
            AbstractSyntax::Uid(uid) => dict::describe_uid(uid),
            AbstractSyntax::Storage => {
                format!("all {} storage SOP classes below", dict::storage_classes().len())
            }
        };
        // writing to a String does not fail
        let _ = writeln!(
            page,
            "| {} | {class} | {} | {} | {} |",
            row.name,
            row.command.name(),
            row.section,
            syntaxes(&row.offer)
        );
    }
    if SERVICES.iter().any(|row| row.abstract_syntax == AbstractSyntax::Storage) {
        page += "\n## Storage SOP classes\n\n| SOP class | UID |\n|---|---|\n";
        for uid in dict::storage_classes() {
            let _ = writeln!(page, "| {} | {uid} |", dict::uid_name(uid).unwrap_or("-"));
        }
    }
    page
}

fn syntaxes(offer: &Offer) -> String {
    match offer.syntaxes {
        Syntaxes::Any => "any: the first one proposed, stored as it comes".to_owned(),
        Syntaxes::Preferred(list) => {
            let names: Vec<&str> =
                list.iter().map(|uid| dict::uid_name(uid).unwrap_or(uid)).collect();
            names.join(", then ")
        }
    }
}

const INTRODUCTION: &str = concat!(
    "# DICOM conformance statement\n\n",
    "<!-- Made from crates/pacslab-scp/src/services.rs. Refresh:\n",
    "     PACSLAB_REFRESH=1 cargo test -p pacslab-scp conformance -->\n\n",
    "This is what the embedded PACS of pacslab does as a service class provider (PS3.2).\n",
    "Not a medical device; synthetic data only.\n\n",
    "| | |\n|---|---|\n",
    "| application context | 1.2.840.10008.3.1.1.1 |\n",
    "| implementation class UID | ",
    "2.25.65141613089210034052532340463291065553",
    " |\n",
    "| called AE title | any |\n",
    "| asynchronous operations window | up to 16, 16 for those who ask: C-STORE, and the sub-operations of C-GET |\n",
    "| transfer syntax of retrieval | as stored where that is accepted; else Explicit or Implicit VR LE, ",
    "Deflated, Big Endian or RLE Lossless: from any uncompressed one, RLE, JPEG (8 bits, and lossless), ",
    "JPEG-LS in grayscale, JPEG 2000 |\n",
    "| SCP/SCU role selection | answered; the requestor may be SCU, for storage also SCP |\n",
    "| user identity | accepted and shown, not checked |\n",
    "| maximum PDU length | 131072 (`dicom.max_pdu`) |\n",
    "| character sets | those of PS3.3 C.12.1.1.2, ISO 2022 included, when read; ISO_IR 192 or ",
    "the default repertoire when written |\n"
);

#[cfg(test)]
mod tests {
    use pacslab_model::uids;

    use super::*;

    /// The statement in `docs/` is the one that the table gives.
    #[test]
    fn conformance_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conformance.md");
        if std::env::var_os("PACSLAB_REFRESH").is_some() {
            std::fs::write(path, statement()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
        assert!(
            kept == statement(),
            "docs/conformance.md is not current; refresh it with \
             PACSLAB_REFRESH=1 cargo test -p pacslab-scp conformance"
        );
    }

    #[test]
    fn the_statement_names_our_implementation() {
        assert!(statement().contains(uids::IMPLEMENTATION_CLASS));
    }
}
