//! How a verb runs in this process, and how a signal ends it: tidily, and telling what goes on without it.

use std::{panic, thread, time::Duration};

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{context::Context, failure::ExitWith, host::Signals, scratch, terminal, verbs, verbs::arguments::Command};

/// The stack of the thread that a verb runs on, in bytes: that of a main thread.
const STACK: usize = 8 << 20;
/// How long a verb that is told to stop may take to notice. One that waits for a person to type never does.
const NOTICING: Duration = Duration::from_millis(500);
/// How long work on the disk may take to end, and to remove what it has not finished.
const FINISHING: Duration = Duration::from_secs(10);

/// Runs a verb to its end, or until SIGINT, SIGTERM or SIGHUP (daemons see to those themselves).
///
/// # Errors
/// Whatever went wrong; after a signal [`ExitWith`] 128 and its number.
pub(crate) fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (stop, last_words) = (CancellationToken::new(), context.last_words.clone());
    // Before the verb begins: from its first file on, no signal ends it untidily.
    let mut signals = if command.sees_to_signals() {
        None
    } else {
        let _runtime = runtime.enter();
        Some(Signals::listen()?)
    };
    let (done, mut ended) = oneshot::channel::<()>();
    // On a thread of its own, because a verb may block: for a password, for what is typed.
    let verb = {
        let (handle, stop) = (runtime.handle().clone(), stop.clone());
        let run = move || {
            let _done = done;
            handle.block_on(async {
                tokio::select! {
                    result = verbs::run(command, context) => Some(result),
                    () = stop.cancelled() => None,
                }
            })
        };
        thread::Builder::new().name("verb".to_owned()).stack_size(STACK).spawn(run).context("cannot start a thread")?
    };
    let signal = runtime.block_on(async {
        let Some(signals) = &mut signals else {
            let _ = (&mut ended).await;
            return None;
        };
        let signal = tokio::select! {
            _ = &mut ended => return None,
            signal = signals.next() => signal,
        };
        stop.cancel();
        let _ = tokio::time::timeout(NOTICING, &mut ended).await;
        Some(signal)
    });
    let result = match signal {
        Some(signal) if !verb.is_finished() => {
            runtime.shutdown_background();
            interrupted(signal, last_words.take())
        }
        _ => match (verb.join(), signal) {
            (Ok(Some(result)), _) => {
                // A blocking task (a read from stdin, an import) must not hold up the end.
                runtime.shutdown_background();
                result
            }
            (Ok(None), signal) => {
                runtime.shutdown_timeout(FINISHING);
                interrupted(signal.unwrap_or_default(), last_words.take())
            }
            (Err(panic), _) => panic::resume_unwind(panic),
        },
    };
    scratch::remove_all();
    result
}

fn interrupted(signal: u8, last_words: Option<String>) -> anyhow::Result<()> {
    if let Some(words) = last_words {
        terminal::tell(&words);
    }
    Err(ExitWith(128_u8.saturating_add(signal)).into())
}
