//! What is played, in which order: target beside target, round by round.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::prepare::Ready;
use super::runner::{Limits, Workload, probe, round};
use super::size::Size;
use super::stats::Samples;
use super::work::echo::Echo;
use super::work::find::{Find, Question};
use super::work::get::Get;
use super::work::move_::Move;
use super::work::order::Order;
use super::work::qido::Qido;
use super::work::store::Store;
use super::work::stow::Stow;
use super::work::wado::{Part, Wado};
use super::work::workflow::Workflow;
use super::work::worklist::{self, Worklist};

/// The workloads as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub(crate) enum Name {
    Echo,
    Store,
    Find,
    Worklist,
    Move,
    Get,
    Qido,
    Wado,
    Stow,
    Order,
    Workflow,
}

impl Name {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Store => "store",
            Self::Find => "find",
            Self::Worklist => "worklist",
            Self::Move => "move",
            Self::Get => "get",
            Self::Qido => "qido",
            Self::Wado => "wado",
            Self::Stow => "stow",
            Self::Order => "order",
            Self::Workflow => "workflow",
        }
    }

    /// Whether something has to be put into the PACS.
    pub(crate) fn writes(self) -> bool {
        self != Self::Echo
    }

    /// Asks for studies that are there.
    pub(crate) fn asks(self) -> bool {
        matches!(self, Self::Find | Self::Qido)
    }

    /// Fetches studies that are there.
    pub(crate) fn fetches(self) -> bool {
        matches!(self, Self::Move | Self::Get | Self::Wado)
    }

    /// Everything of this name that is measured.
    pub(crate) fn cases(self, sizes: &[Size]) -> Vec<Case> {
        let each = |case: fn(Size) -> Case| sizes.iter().map(|size| case(*size)).collect();
        match self {
            Self::Echo => vec![Case::Echo { open: false }, Case::Echo { open: true }],
            Self::Store => each(Case::Store),
            Self::Find => Question::ALL.map(Case::Find).to_vec(),
            Self::Worklist => worklist::Question::ALL.map(Case::Worklist).to_vec(),
            Self::Move => each(Case::Move),
            Self::Get => each(Case::Get),
            Self::Qido => vec![Case::Qido],
            Self::Wado => {
                let parts = |size: &Size| Part::ALL.map(|part| Case::Wado(part, *size));
                sizes.iter().flat_map(parts).collect()
            }
            Self::Stow => each(Case::Stow),
            Self::Order => vec![Case::Order],
            Self::Workflow => vec![Case::Workflow],
        }
    }
}

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Echo { open: bool },
    Store(Size),
    Find(Question),
    Worklist(worklist::Question),
    Move(Size),
    Get(Size),
    Qido,
    Wado(Part, Size),
    Stow(Size),
    Order,
    Workflow,
}

impl Case {
    pub(crate) fn name(self) -> Name {
        match self {
            Self::Echo { .. } => Name::Echo,
            Self::Store(_) => Name::Store,
            Self::Find(_) => Name::Find,
            Self::Worklist(_) => Name::Worklist,
            Self::Move(_) => Name::Move,
            Self::Get(_) => Name::Get,
            Self::Qido => Name::Qido,
            Self::Wado(..) => Name::Wado,
            Self::Stow(_) => Name::Stow,
            Self::Order => Name::Order,
            Self::Workflow => Name::Workflow,
        }
    }

    /// What tells it from others of the same name.
    pub(crate) fn detail(self) -> String {
        match self {
            Self::Echo { open: false } => "association each".to_owned(),
            Self::Echo { open: true } => "open association".to_owned(),
            Self::Find(question) => question.detail().to_owned(),
            Self::Worklist(question) => question.detail().to_owned(),
            Self::Qido => "accession".to_owned(),
            Self::Store(size) | Self::Stow(size) => size.to_string(),
            Self::Move(size) | Self::Get(size) => format!("study, {size}"),
            Self::Wado(part, size) => format!("{}, {size}", part.detail()),
            Self::Order => "HL7 to acknowledged".to_owned(),
            Self::Workflow => "order to verified".to_owned(),
        }
    }

    /// The workload for a site, or why that has none.
    fn workload(self, ready: &Ready) -> Result<Arc<dyn Workload>, String> {
        let (at, prepared) = (ready.at.clone(), ready.prepared.clone());
        if at.site.is_sink && !matches!(self, Self::Echo { .. } | Self::Store(_)) {
            return Err("the sink only takes".to_owned());
        }
        if let Some(reason) = &ready.no_images
            && (self.name().asks() || self.name().fetches())
        {
            return Err(reason.clone());
        }
        let server = || {
            at.site.server.clone().ok_or_else(|| {
                "no HTTP address of it is known (--http URL, in the order of --pacs)".to_owned()
            })
        };
        let hl7 = || {
            let none = "no HL7 door of it is known (--hl7 HOST:PORT)";
            at.site.hl7.clone().ok_or_else(|| none.to_owned())
        };
        Ok(match self {
            Self::Echo { open } => Arc::new(Echo { at, open }),
            Self::Store(size) => Arc::new(Store::new(at, size)),
            Self::Find(question) => Arc::new(Find { at, prepared, question }),
            Self::Worklist(question) => Arc::new(Worklist { at, prepared, question }),
            Self::Move(size) => {
                let destination = ready.destination.clone()?;
                Arc::new(Move { at, prepared, size, destination })
            }
            Self::Get(size) => Arc::new(Get { at, prepared, size }),
            Self::Qido => Arc::new(Qido { server: server()?, at, prepared }),
            Self::Wado(part, size) => {
                Arc::new(Wado { server: server()?, at, prepared, size, part })
            }
            Self::Stow(size) => {
                let server = server()?;
                Arc::new(Stow::new(at, server, size))
            }
            Self::Order => Arc::new(Order { hl7: hl7()?, at }),
            Self::Workflow => {
                let hl7 = hl7()?;
                Arc::new(Workflow { at, hl7, size: Size::SMALL })
            }
        })
    }
}

/// How all of it is played.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) cases: Vec<Case>,
    pub(crate) connections: Vec<usize>,
    pub(crate) rounds: u32,
    /// Of one round.
    pub(crate) limits: Limits,
}

/// One row of the report.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) connections: usize,
    /// The place of the site among the sites.
    pub(crate) site: usize,
    pub(crate) samples: Samples,
    /// Requests per second of each round.
    pub(crate) rounds: Vec<f64>,
}

/// What a site does not do, and why.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    pub(crate) case: Case,
    pub(crate) site: usize,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) measured: Vec<Measured>,
    pub(crate) missing: Vec<Missing>,
}

impl Plan {
    /// Plays everything; `tell` hears what comes next.
    pub(crate) async fn play(&self, sites: &[Ready], tell: &(dyn Fn(String) + Sync)) -> Results {
        let mut results = Results::default();
        for case in &self.cases {
            let mut playing = Vec::new();
            for (site, ready) in sites.iter().enumerate() {
                let found = match case.workload(ready) {
                    Ok(workload) => match probe(&*workload).await {
                        Err(fault) if fault.not_offered => Err(fault.detail),
                        // whatever else it is, it is measured and counted
                        _ => Ok(workload),
                    },
                    Err(reason) => Err(reason),
                };
                match found {
                    Ok(workload) => playing.push((site, workload)),
                    Err(reason) => results.missing.push(Missing { case: *case, site, reason }),
                }
            }
            for connections in &self.connections {
                if !playing.is_empty() {
                    let name = case.name().as_str();
                    tell(format!("{name}, {}: {connections} connections", case.detail()));
                }
                let rows = self.side_by_side(*case, *connections, &playing, sites).await;
                results.measured.extend(rows);
            }
        }
        results
    }

    /// Each site's turn comes once a round, so that what disturbs the computer for a while
    /// disturbs all of them.
    async fn side_by_side(
        &self,
        case: Case,
        connections: usize,
        playing: &[(usize, Arc<dyn Workload>)],
        sites: &[Ready],
    ) -> Vec<Measured> {
        let row = |site: &(usize, _)| Measured {
            case,
            connections,
            site: site.0,
            samples: Samples::default(),
            rounds: Vec::new(),
        };
        let mut rows: Vec<Measured> = playing.iter().map(row).collect();
        for _ in 0..self.rounds {
            for ((site, workload), row) in playing.iter().zip(&mut rows) {
                let before = received(sites.get(*site));
                let mut samples = round(workload.clone(), connections, self.limits).await;
                let came = received(sites.get(*site)) - before;
                if matches!(case, Case::Move(_)) && came < samples.objects {
                    let lost = samples.objects - came;
                    samples.errors.insert("told as sent, never received".to_owned(), lost);
                }
                row.rounds.push(samples.rate());
                row.samples.after(samples);
            }
        }
        rows
    }
}

fn received(ready: Option<&Ready>) -> u64 {
    let receiver = ready.and_then(|ready| ready.receiver.as_ref());
    receiver.map_or(0, |sink| sink.counted.objects.load(Ordering::Relaxed))
}

/// A time as a share of what was asked for, for each of so many rounds.
pub(crate) fn share(time: Duration, rounds: u32) -> Duration {
    time / rounds.max(1)
}
