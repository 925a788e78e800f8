//! The seam of TLS: what stands before an association counts as a connection that says nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_dimse::{
    Association, BoxFuture, Error, Proposal, Remote, Requestor, SecureAcceptor, SecureConnector,
    Stream,
};
use pacslab_model::uids;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::lab::{Lab, ae, within};

/// Takes for ever, or lets everybody through.
struct Gate {
    open: bool,
}

impl SecureAcceptor for Gate {
    fn accept(&self, tcp: TcpStream, _: SocketAddr) -> BoxFuture<'_, Option<Box<dyn Stream>>> {
        Box::pin(async move {
            if !self.open {
                std::future::pending::<()>().await;
            }
            Some(Box::new(tcp) as Box<dyn Stream>)
        })
    }
}

impl SecureConnector for Gate {
    fn connect<'a>(
        &'a self,
        tcp: TcpStream,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, String>> {
        Box::pin(async move {
            match self.open {
                true => Ok(Box::new(tcp) as Box<dyn Stream>),
                false => Err("nobody believes us".to_owned()),
            }
        })
    }
}

async fn call(lab: &Lab, gate: Option<Gate>) -> Result<Association, Error> {
    let us = Requestor {
        secure: gate.map(|gate| Arc::new(gate) as Arc<dyn SecureConnector>),
        ..Requestor::silent(ae("SCU"))
    };
    let remote = Remote { tls: true, ..lab.remote() };
    Association::connect(&us, &remote, Proposal::of(uids::VERIFICATION)).await
}

#[tokio::test]
async fn an_association_goes_through_the_gates_of_both_sides() {
    let lab = Lab::with(|config| config.secure = Some(Arc::new(Gate { open: true }))).await;
    let association = call(&lab, Some(Gate { open: true })).await.unwrap();
    association.release().await.unwrap();
    let refused = call(&lab, Some(Gate { open: false })).await.unwrap_err();
    assert!(refused.to_string().contains("nobody believes us"), "{refused}");
    // a peer that wants TLS is never called without
    let without = call(&lab, None).await.unwrap_err();
    assert!(matches!(without, Error::Tls { .. }), "{without}");
}

#[tokio::test]
async fn the_oldest_connection_at_the_gate_is_shed_and_none_hinders_the_end() {
    let gate: Arc<dyn SecureAcceptor> = Arc::new(Gate { open: false });
    let lab = Lab::with(|config| {
        config.secure = Some(gate);
        config.limits.pending = 3;
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(TcpStream::connect(lab.address).await.unwrap());
    }
    assert_eq!(within(waiting[0].read(&mut [0])).await.unwrap_or(0), 0);
    let begun = Instant::now();
    within(lab.stop()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(within(waiting[3].read(&mut [0])).await.unwrap_or(0), 0);
}
