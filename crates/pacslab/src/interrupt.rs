//! Ctrl-C and its kin on every system.

/// Ready when somebody asks the program to end: Ctrl-C, and what service managers send. Heard from
/// the call on, not from the first wait on: who says that Ctrl-C ends it calls this before.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let heard = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        async move {
            match heard {
                (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                },
                _ => ctrl_c().await,
            }
        }
    }
    #[cfg(windows)]
    {
        use tokio::signal::windows;
        let heard = (
            windows::ctrl_c(),
            windows::ctrl_close(),
            windows::ctrl_shutdown(),
            windows::ctrl_break(),
        );
        async move {
            match heard {
                (Ok(mut interrupt), Ok(mut closed), Ok(mut shutdown), Ok(mut stop)) => {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = closed.recv() => {}
                        _ = shutdown.recv() => {}
                        _ = stop.recv() => {}
                    }
                }
                _ => ctrl_c().await,
            }
        }
    }
    #[cfg(not(any(unix, windows)))]
    ctrl_c()
}

async fn ctrl_c() {
    // without signals there is nothing to wait for but the end of the process
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
