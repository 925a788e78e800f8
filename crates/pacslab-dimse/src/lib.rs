//! The wire half of the DICOM network: PDUs, associations, DIMSE messages, services.
//!
//! Bottom up: [`pdu`] (bytes ↔ PDUs) and [`message`] (bytes ↔ command sets) know no sockets;
//! [`fsm`] is the table of PS3.8 9.2; [`Association`] is both ends of an association;
//! [`serve`] accepts them and [`Association::connect`] opens them; [`service`] has one file for
//! each DIMSE service.

pub mod association;
mod connect;
pub mod context;
mod error;
pub mod events;
pub mod fsm;
pub mod message;
pub mod negotiate;
mod pace;
pub mod pdu;
mod secure;
pub mod server;
pub mod service;
mod source;
mod spin;
pub mod status;
pub mod window;
mod wire;

pub use association::{Association, AssociationInfo, Data, EventReport, Reporter, Timeouts};
pub use connect::{Remote, Requestor};
pub use context::{Context, Contexts, Proposal, choose_contexts};
pub use error::{Error, Refusal};
pub use negotiate::{Acceptance, Acceptor, Decision, Offer, Roles, Syntaxes, negotiate};
pub use pace::{Slowest, TooSlow};
pub use secure::{SecureAcceptor, SecureConnector};
pub use server::{BoxFuture, Handler, ServerConfig, ServerLimits, answer_only, refuse, serve};
pub use source::{Payload, Piece, Source};
pub use status::{Status, StatusReply};
pub use window::Window;
pub use wire::Stream;
