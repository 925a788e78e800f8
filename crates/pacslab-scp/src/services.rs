//! What the embedded PACS serves over DIMSE, in one table.
//!
//! Negotiation, dispatch, `pacslab services` and the conformance statement are all derived from
//! [`SERVICES`]: a service that has no row is not offered, not performed and not documented.

use std::sync::Arc;

use pacslab_dicom::dict;
use pacslab_dimse::message::{Field, Request};
use pacslab_dimse::{Association, BoxFuture, Context, Error, Offer};
use pacslab_model::{Uid, uids};

use crate::door::Door;
use crate::identifier::Root;
use crate::{
    availability, commitment, find_study, find_worklist, get, move_, mpps, store, verification,
};

/// One DIMSE service as SCP.
#[derive(Clone, Copy)]
pub struct Service {
    pub name: &'static str,
    pub abstract_syntax: AbstractSyntax,
    pub command: Field,
    /// Where the standard defines it.
    pub section: &'static str,
    /// What is negotiated for it.
    pub offer: Offer,
    /// Performs one request and answers it.
    pub(crate) perform: Perform,
}

type Perform = for<'a> fn(
    &'a Door,
    &'a mut Association,
    Arc<Context>,
    Request,
) -> BoxFuture<'a, Result<(), Error>>;

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AbstractSyntax {
    Uid(&'static str),
    /// Every storage SOP class of the dictionary.
    Storage,
}

impl AbstractSyntax {
    pub fn covers(self, uid: &str) -> bool {
        match self {
            Self::Uid(own) => own == uid,
            Self::Storage => dict::is_storage(uid),
        }
    }

    /// All UIDs of the row.
    pub fn uids(self) -> Vec<&'static str> {
        match self {
            Self::Uid(own) => vec![own],
            Self::Storage => dict::storage_classes().to_vec(),
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

pub static SERVICES: &[Service] = &[
    Service {
        name: "Verification",
        abstract_syntax: AbstractSyntax::Uid(uids::VERIFICATION),
        command: Field::Echo,
        section: "PS3.4 A",
        offer: Offer::SERVICE,
        perform: |_, association, context, request| {
            Box::pin(verification::perform(association, context, request))
        },
    },
    Service {
        name: "Storage",
        abstract_syntax: AbstractSyntax::Storage,
        command: Field::Store,
        section: "PS3.4 B",
        offer: Offer::STORAGE,
        perform: |door, association, context, request| {
            Box::pin(store::perform(door, association, context, request))
        },
    },
    Service {
        name: "Patient Root Query",
        abstract_syntax: AbstractSyntax::Uid(uids::PATIENT_ROOT_FIND),
        command: Field::Find,
        section: "PS3.4 C.6.1",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(find_study::perform(Root::Patient, door, association, context, request))
        },
    },
    Service {
        name: "Study Root Query",
        abstract_syntax: AbstractSyntax::Uid(uids::STUDY_ROOT_FIND),
        command: Field::Find,
        section: "PS3.4 C.6.2",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(find_study::perform(Root::Study, door, association, context, request))
        },
    },
    Service {
        name: "Patient Root Retrieve (MOVE)",
        abstract_syntax: AbstractSyntax::Uid(uids::PATIENT_ROOT_MOVE),
        command: Field::Move,
        section: "PS3.4 C.6.1",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(move_::perform(Root::Patient, door, association, context, request))
        },
    },
    Service {
        name: "Study Root Retrieve (MOVE)",
        abstract_syntax: AbstractSyntax::Uid(uids::STUDY_ROOT_MOVE),
        command: Field::Move,
        section: "PS3.4 C.6.2",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(move_::perform(Root::Study, door, association, context, request))
        },
    },
    Service {
        name: "Patient Root Retrieve (GET)",
        abstract_syntax: AbstractSyntax::Uid(uids::PATIENT_ROOT_GET),
        command: Field::Get,
        section: "PS3.4 C.6.1",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(get::perform(Root::Patient, door, association, context, request))
        },
    },
    Service {
        name: "Study Root Retrieve (GET)",
        abstract_syntax: AbstractSyntax::Uid(uids::STUDY_ROOT_GET),
        command: Field::Get,
        section: "PS3.4 C.6.2",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(get::perform(Root::Study, door, association, context, request))
        },
    },
    Service {
        name: "Modality Worklist",
        abstract_syntax: AbstractSyntax::Uid(uids::MODALITY_WORKLIST_FIND),
        command: Field::Find,
        section: "PS3.4 K",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(find_worklist::perform(door, association, context, request))
        },
    },
    Service {
        name: "Modality Performed Procedure Step",
        abstract_syntax: AbstractSyntax::Uid(uids::MPPS),
        command: Field::NCreate,
        section: "PS3.4 F.7",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(mpps::perform(door, association, context, request))
        },
    },
    Service {
        name: "Modality Performed Procedure Step",
        abstract_syntax: AbstractSyntax::Uid(uids::MPPS),
        command: Field::NSet,
        section: "PS3.4 F.7",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(mpps::perform(door, association, context, request))
        },
    },
    Service {
        name: "Modality Performed Procedure Step Retrieve",
        abstract_syntax: AbstractSyntax::Uid(uids::MPPS_RETRIEVE),
        command: Field::NGet,
        section: "PS3.4 F.8",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(mpps::perform(door, association, context, request))
        },
    },
    Service {
        name: "Storage Commitment (push)",
        abstract_syntax: AbstractSyntax::Uid(uids::STORAGE_COMMITMENT_PUSH),
        command: Field::NAction,
        section: "PS3.4 J",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(commitment::perform(door, association, context, request))
        },
    },
    Service {
        name: "Instance Availability Notification",
        abstract_syntax: AbstractSyntax::Uid(uids::INSTANCE_AVAILABILITY),
        command: Field::NCreate,
        section: "PS3.4 R",
        offer: Offer::SERVICE,
        perform: |door, association, context, request| {
            Box::pin(availability::perform(door, association, context, request))
        },
    },
];

/// What is offered for an abstract syntax: the first row that covers it.
pub fn offer(uid: &Uid) -> Option<Offer> {
    SERVICES.iter().find(|row| row.abstract_syntax.covers(uid.as_str())).map(|row| row.offer)
}

/// The row that performs a request on a context.
pub(crate) fn performer(context: &Context, request: &Request) -> Option<&'static Service> {
    let class = request.operation.sop_class();
    SERVICES.iter().find(|row| {
        row.command == request.operation.field()
            && row.abstract_syntax.covers(context.abstract_syntax.as_str())
            && class == &context.abstract_syntax
    })
}
