//! What has to be in a PACS before it can be asked: studies, orders, a destination.

use std::sync::Arc;

use pacslab_model::Clock;
use serde_json::Value;
use tokio::net::TcpListener;

use super::data::{Naming, PREFIX, day};
use super::images::{Form, Kinds};
use super::runner::Fault;
use super::sink::Sink;
use super::size::Size;
use super::work::store::Sender;
use super::work::{At, Known, Prepared, workflow, worklist};
use crate::clock::SystemClock;
use crate::config::Peer;
use crate::rest;

/// What the chosen workloads ask for.
#[derive(Debug, Clone)]
pub(crate) struct Needs {
    /// Studies that are asked for, images of each and their size; 0: none.
    pub(crate) studies: u64,
    pub(crate) found_images: u64,
    pub(crate) found_size: Size,
    /// Sizes of which studies are fetched, how many, and images of each.
    pub(crate) sets: Vec<Size>,
    pub(crate) fetched: u64,
    pub(crate) images: u64,
    /// Orders on the worklist; 0: none.
    pub(crate) orders: u64,
    /// C-MOVE is played.
    pub(crate) moves: bool,
}

/// A site with everything in it, or the reason why something is not.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) at: Arc<At>,
    pub(crate) prepared: Arc<Prepared>,
    /// Why there are no images.
    pub(crate) no_images: Option<String>,
    /// Why there are no orders of ours.
    pub(crate) no_orders: Option<String>,
    /// The AE title that C-MOVE sends to.
    pub(crate) destination: Result<String, String>,
    /// Who has it.
    pub(crate) receiver: Option<Arc<Sink>>,
    registered: bool,
}

/// Where C-MOVE sends to.
#[derive(Debug, Clone)]
pub(crate) enum Receiver {
    /// Made known to the PACS over HTTP; its host as the PACS sees it.
    Introduced { host: String },
    /// The PACS knows it: AE title and port here.
    Known { aet: String, port: u16 },
}

impl Ready {
    pub(crate) async fn prepare(at: Arc<At>, needs: &Needs, receiver: &Receiver) -> Self {
        let mut prepared = Prepared::default();
        let mut no_images = None;
        if !at.site.is_sink
            && let Err(fault) = images(&at, needs, &mut prepared).await
        {
            no_images =
                Some(format!("it did not take the images to be asked for: {}", fault.detail));
        }
        let mut no_orders = None;
        if needs.orders > 0 {
            no_orders = match &at.site.hl7 {
                None => Some("no HL7 door of it is known (--hl7 HOST:PORT)".to_owned()),
                Some(hl7) => match orders(&at, hl7, needs.orders, &mut prepared).await {
                    Ok(()) => None,
                    Err(fault) => Some(format!("it did not take the orders: {}", fault.detail)),
                },
            };
        }
        let mut ready = Self {
            at,
            prepared: Arc::new(prepared),
            no_images,
            no_orders,
            destination: Err("no receiver was started".to_owned()),
            receiver: None,
            registered: false,
        };
        if needs.moves && !ready.at.site.is_sink {
            ready.destination = ready.receive(receiver).await;
        }
        ready
    }

    async fn receive(&mut self, receiver: &Receiver) -> Result<String, String> {
        let listen = if self.at.site.is_here() { "127.0.0.1" } else { "0.0.0.0" };
        let port = match receiver {
            Receiver::Introduced { .. } => 0,
            Receiver::Known { port, .. } => *port,
        };
        let listener = TcpListener::bind((listen, port)).await;
        let sink = listener.and_then(Sink::start);
        let sink =
            sink.map_err(|error| format!("the receiver cannot listen on {port}: {error}"))?;
        let (aet, port) = match receiver {
            Receiver::Known { aet, .. } => (aet.clone(), sink.port),
            Receiver::Introduced { host } => {
                let Some(server) = &self.at.site.server else {
                    return Err("the PACS has to know where to send: give --http so that the \
                                benchmark makes itself known, or --receiver TITLE:PORT"
                        .to_owned());
                };
                let peer = format!("{PREFIX}@{host}:{}", sink.port).parse::<Peer>()?;
                rest::register(server, PREFIX, &peer, &[("AllowStore", Value::Bool(true))])
                    .await
                    .map_err(|failure| {
                    format!("the receiver could not be made known: {}", failure.message)
                })?;
                self.registered = true;
                (PREFIX.to_owned(), sink.port)
            }
        };
        tracing::debug!("C-MOVE goes to {aet} on port {port}");
        self.receiver = Some(Arc::new(sink));
        Ok(aet)
    }

    /// Takes back what is no data: the destination.
    pub(crate) async fn leave(&self) {
        if self.registered
            && let Some(server) = &self.at.site.server
        {
            // the images stay as well, and the report says so
            let _ = server.ask("DELETE", &rest::modality(PREFIX, ""), None).await;
        }
    }
}

async fn images(at: &Arc<At>, needs: &Needs, prepared: &mut Prepared) -> Result<(), Fault> {
    if needs.studies > 0 {
        prepared.small = studies(at, needs.found_size, needs.studies, needs.found_images).await?;
        prepared.names = prepared.small.iter().map(|known| Naming::name(known.study)).collect();
        prepared.names.sort();
        prepared.days = prepared.small.iter().map(|known| day(known.study)).collect();
        prepared.days.sort_unstable();
    }
    for size in &needs.sets {
        let fetched = studies(at, *size, needs.fetched, needs.images).await?;
        prepared.sets.push((*size, fetched));
    }
    Ok(())
}

async fn studies(at: &Arc<At>, size: Size, count: u64, images: u64) -> Result<Vec<Known>, Fault> {
    let kinds = Kinds::of(size, &at.naming, Form::Bare);
    let mut sender = Sender::open(at.clone(), &kinds).await?;
    let pixels = match size {
        Size::Bytes(bytes) => bytes,
        Size::Mixed => 128 << 10,
    };
    let mut all = Vec::new();
    for _ in 0..count {
        let mut known = Known { study: at.next_study(), images, bytes: 0, pixels: pixels * 9 / 10 };
        for image in 1..=images {
            known.bytes += sender.send(known.study, image).await?;
        }
        all.push(known);
    }
    sender.close().await;
    Ok(all)
}

async fn orders(at: &At, hl7: &str, count: u64, prepared: &mut Prepared) -> Result<(), Fault> {
    let mut sender = workflow::connect(hl7, at.site.target.timeout).await?;
    for _ in 0..count {
        let study = at.next_study();
        let order = worklist::order_to_find(at, study, SystemClock.now());
        workflow::send(&mut sender, at, &order).await?;
        prepared.orders.push(study);
    }
    Ok(())
}
