//! Who may do what: one pure function, and the explanation of every no.
//!
//! The protocol has room for a status and 64 characters; a person needs the rule, the setting
//! behind it and the command that changes it. A [`Refusal`] carries both: the first goes to the
//! peer (PS3.7 C, Error Comment; PS3.8 9.3.4), the second to the log and the event.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use pacslab_dimse::message;
use pacslab_dimse::pdu::AssociateRj;
use pacslab_dimse::{Status, StatusReply};
use pacslab_model::{AeTitle, uids};

/// The settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    pub mode: Mode,
    /// Strangers from other computers may do what those of this one may.
    pub open: bool,
    /// Called titles have to be ours.
    pub check_called: bool,
    /// Titles differ by upper and lower case.
    pub strict_aet: bool,
    pub always: Always,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Strangers may do everything on this computer, and C-ECHO from others.
    #[default]
    Lab,
    /// Strangers may C-ECHO and C-STORE, as Orthanc has it; the rest is refused with a status.
    Strict,
    /// The same, and refused as Orthanc does it: aborted without a response.
    OrthancQuirks,
}

impl Mode {
    pub const WORDS: [(&'static str, Self); 3] =
        [("lab", Self::Lab), ("strict", Self::Strict), ("orthanc-quirks", Self::OrthancQuirks)];
}

impl FromStr for Mode {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, mode)| *mode).ok_or(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS.iter().find(|(_, mode)| mode == self).map_or("", |(word, _)| word))
    }
}

/// What every title may do (`true`) or only known ones (`false`); `None`: as the mode has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Always {
    pub echo: Option<bool>,
    pub store: Option<bool>,
    pub find: Option<bool>,
    pub find_worklist: Option<bool>,
    pub get: Option<bool>,
    pub move_: Option<bool>,
}

impl Always {
    fn of(&self, operation: Operation) -> Option<bool> {
        match operation {
            Operation::Echo => self.echo,
            Operation::Store => self.store,
            Operation::Find => self.find,
            Operation::Worklist => self.find_worklist,
            Operation::Get => self.get,
            Operation::Move => self.move_,
            Operation::Commitment | Operation::Step => None,
        }
    }
}

/// What may be allowed or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    Echo,
    Store,
    Find,
    Worklist,
    Get,
    Move,
    /// Storage commitment: N-ACTION, and N-EVENT-REPORT as its answer.
    Commitment,
    /// Performed procedure steps: N-CREATE, N-SET.
    Step,
}

impl Operation {
    pub const ALL: [Self; 8] = [
        Self::Echo,
        Self::Store,
        Self::Find,
        Self::Worklist,
        Self::Get,
        Self::Move,
        Self::Commitment,
        Self::Step,
    ];

    /// What a request is.
    pub fn of(request: &message::Operation) -> Self {
        use message::Operation as O;
        match request {
            O::Echo { .. } => Self::Echo,
            O::Store { .. } => Self::Store,
            O::Find { sop_class, .. } if sop_class.as_str() == uids::MODALITY_WORKLIST_FIND => {
                Self::Worklist
            }
            O::Find { .. } => Self::Find,
            O::Get { .. } => Self::Get,
            O::Move { .. } => Self::Move,
            O::NAction { .. } | O::EventReport { .. } => Self::Commitment,
            O::NGet { .. } | O::NSet { .. } | O::NCreate { .. } | O::NDelete { .. } => Self::Step,
        }
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "C-ECHO",
            Self::Store => "C-STORE",
            Self::Find => "C-FIND",
            Self::Worklist => "MWL C-FIND",
            Self::Get => "C-GET",
            Self::Move => "C-MOVE",
            Self::Commitment => "N-ACTION",
            Self::Step => "MPPS",
        }
    }

    /// The end of its keys and switches: `dicom.always_allow_find`, `AllowFind`.
    fn word(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Store => "store",
            Self::Find => "find",
            Self::Worklist => "find_worklist",
            Self::Get => "get",
            Self::Move => "move",
            Self::Commitment => "n_action",
            Self::Step => "mpps",
        }
    }
}

/// What is known of the calling title.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    Stranger,
    /// It is a peer, and this operation is allowed to it.
    Allowed,
    /// It is a peer, and this operation is switched off for it.
    Denied,
}

/// One request, as the decision sees it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub operation: Operation,
    pub calling: &'a str,
    pub from: IpAddr,
    pub caller: Caller,
    /// Of a C-MOVE: where to, and whether that is known.
    pub destination: Option<(&'a str, bool)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Allow,
    Refuse(Box<Refusal>),
}

/// A no, for the peer and for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub answer: Answer,
    /// At most 64 characters.
    pub comment: String,
    /// The rule, in words that name mode and setting.
    pub rule: String,
    /// What happened and why.
    pub explanation: String,
    /// What to do to allow it.
    pub fix: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Status(Status),
    /// A-ABORT instead of a response.
    Abort,
}

impl Refusal {
    /// What the peer is answered, unless it is aborted.
    pub fn reply(&self) -> Option<StatusReply> {
        match self.answer {
            Answer::Abort => None,
            Answer::Status(status) => Some(StatusReply::new(status, &self.comment)),
        }
    }
}

/// Decides one request.
pub fn decide(policy: &Policy, question: &Question<'_>) -> Verdict {
    let Question { operation, calling, from, caller, destination } = question;
    let operation = *operation;
    let set = policy.always.of(operation);
    let orthanc = matches!(operation, Operation::Echo | Operation::Store);
    let (everybody, why) = match (policy.mode, set) {
        (_, Some(true)) => return destined(policy, calling, *destination),
        (_, Some(false)) => (
            false,
            format!("dicom.always_allow_{} = false: only peers that are listed", operation.word()),
        ),
        (Mode::Lab, None) => (
            policy.open || from.to_canonical().is_loopback() || operation == Operation::Echo,
            "dicom.policy = lab: titles that are not listed may only C-ECHO from other computers"
                .to_owned(),
        ),
        // there even a peer for which it is switched off may echo and store
        (_, None) if orthanc => return Verdict::Allow,
        (mode, None) => (
            policy.open,
            format!(
                "dicom.policy = {mode}: titles that are not listed may only C-ECHO and C-STORE"
            ),
        ),
    };
    let name = operation.name();
    let (comment, rule, explanation, fix) = match caller {
        Caller::Allowed => return destined(policy, calling, *destination),
        Caller::Stranger if everybody => return destined(policy, calling, *destination),
        Caller::Stranger => (
            format!("{name} refused: {calling} is not in [peers]"),
            why,
            format!(
                "DICOM authorization rejected: {calling} at {from} asked for {name} and is not \
                 listed in [peers] (Orthanc: DicomModalities)"
            ),
            listing(calling, *from),
        ),
        Caller::Denied => (
            format!("{name} refused: switched off for {calling}"),
            format!("no-{} stands with this peer", operation.word().replace('_', "-")),
            format!(
                "DICOM authorization rejected: {calling} at {from} asked for {name}, which is \
                 switched off for this peer"
            ),
            format!(
                "take no-{0} away from {calling} in [peers] of pacslab.toml and restart (Orthanc: \
                 Allow{1} in DicomModalities)",
                operation.word().replace('_', "-"),
                camel(operation.word())
            ),
        ),
    };
    let answer = match policy.mode {
        Mode::OrthancQuirks => Answer::Abort,
        Mode::Lab | Mode::Strict => Answer::Status(Status::NOT_AUTHORIZED),
    };
    Verdict::Refuse(Box::new(Refusal { answer, comment, rule, explanation, fix }))
}

/// C-MOVE goes to places that are known, whoever asks.
fn destined(policy: &Policy, calling: &str, destination: Option<(&str, bool)>) -> Verdict {
    let Some((title, false)) = destination else { return Verdict::Allow };
    let (status, comment) = match policy.mode {
        Mode::OrthancQuirks => (Status::CANNOT_UNDERSTAND, String::new()),
        Mode::Lab | Mode::Strict => (
            Status::MOVE_DESTINATION_UNKNOWN,
            format!("destination {title} is not known; add it to [peers]"),
        ),
    };
    Verdict::Refuse(Box::new(Refusal {
        answer: Answer::Status(status),
        comment,
        rule: "C-MOVE goes to peers that are listed and listen somewhere, and to nobody else"
            .to_owned(),
        explanation: format!(
            "{calling} asked for a C-MOVE to {title}, which is not listed in [peers] (Orthanc: \
             DicomModalities) with an address"
        ),
        fix: format!(
            "tell where it listens: {} at once, or {title} = \"{title}@HOST:11112\" under [peers] \
             of pacslab.toml and restart",
            registering(title, "HOST")
        ),
    }))
}

/// Decides an association, before anything was asked on it.
///
/// It is turned away when its titles are not to be had, or when nothing would be allowed on it:
/// an answer now says more than a refusal of each request later.
pub fn admit(
    policy: &Policy,
    ours: &AeTitle,
    called: &str,
    calling: &str,
    from: IpAddr,
    caller: impl Fn(Operation) -> Caller,
) -> Result<(), Box<Turned>> {
    let orthanc = policy.mode != Mode::Lab;
    if policy.check_called && !same_title(policy, ours.as_str(), called) {
        return Err(Box::new(Turned {
            answer: AssociateRj::CALLED_AE,
            rule: "dicom.check_called_aet = true: the called title has to be ours".to_owned(),
            explanation: format!("{calling} at {from} called {called}; we are {ours}"),
            fix: format!(
                "call {ours}, or set dicom.aet = \"{called}\", or dicom.check_called_aet = false"
            ),
        }));
    }
    if orthanc && let Err(bad) = AeTitle::new(calling) {
        return Err(Box::new(Turned {
            answer: AssociateRj::CALLING_AE,
            rule: format!("dicom.policy = {}: a calling title has to be one", policy.mode),
            explanation: format!("an association from {from} was turned away: {bad}"),
            fix: "give the calling application a title of 1 to 16 ASCII characters".to_owned(),
        }));
    }
    let nothing = |operation| {
        let caller = caller(operation);
        let question = Question { operation, calling, from, caller, destination: None };
        decide(policy, &question) != Verdict::Allow
    };
    if Operation::ALL.into_iter().all(nothing) {
        return Err(Box::new(Turned {
            answer: AssociateRj::CALLING_AE,
            rule: "nothing is allowed to this title (dicom.policy, dicom.always_allow_…, [peers])"
                .to_owned(),
            explanation: format!("{calling} at {from} was turned away: it may do nothing here"),
            fix: listing(calling, from),
        }));
    }
    Ok(())
}

/// An association that was turned away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turned {
    pub answer: AssociateRj,
    pub rule: String,
    pub explanation: String,
    pub fix: String,
}

/// Whether two titles are one (PS3.5 6.2: spaces around it do not count).
pub fn same_title(policy: &Policy, one: &str, other: &str) -> bool {
    let (one, other) = (one.trim_matches(' '), other.trim_matches(' '));
    if policy.strict_aet { one == other } else { one.eq_ignore_ascii_case(other) }
}

/// How a title becomes known, from now on and for good.
pub fn listing(title: &str, from: IpAddr) -> String {
    let host = match from.to_canonical() {
        IpAddr::V6(address) => format!("[{address}]"),
        address => address.to_string(),
    };
    format!(
        "list it: {} at once, or {title} = \"{title}@{host}:11112\" under [peers] of pacslab.toml \
         and restart (its own port for 11112, if it listens); as a variable: \
         ORTHANC__DICOM_MODALITIES='{{\"{title}\":[\"{title}\",\"{}\",11112]}}'",
        registering(title, &host),
        from.to_canonical()
    )
}

/// The command that adds a peer to a department that is open.
fn registering(title: &str, host: &str) -> String {
    format!("`pacslab modality register {title}@{host}:11112`")
}

/// `find_worklist` → `FindWorklist`
fn camel(word: &str) -> String {
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    word.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests;
