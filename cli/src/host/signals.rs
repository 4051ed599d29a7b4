//! How a person or a service manager ends a process.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What tells a process to end: Ctrl-C, SIGTERM, or the end of its terminal.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None: whoever started the process had it ignored, as `nohup` does.
    hangup: Option<Signal>,
}

impl Signals {
    /// From here on these signals do not end the process by themselves.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let ignored = is_ignored(SignalKind::hangup());
        let listen = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: if ignored { None } else { Some(listen(SignalKind::hangup())?) },
        })
    }

    /// The number of the next one.
    pub(crate) async fn next(&mut self) -> u8 {
        let Self { interrupt, terminate, hangup } = self;
        let hangup = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let kind = tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hangup => SignalKind::hangup(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or_default()
    }
}

/// Whether the process ignores a signal. Only Linux says so (proc(5), `SigIgn`).
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or_default();
    mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1)
}

/// Ready once the process is told to end.
///
/// # Errors
/// When signals cannot be received.
pub(crate) async fn ended_by_user() -> anyhow::Result<()> {
    Signals::listen()?.next().await;
    Ok(())
}
