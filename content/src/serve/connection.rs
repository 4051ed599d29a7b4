//! What is known of one connection, and how to end it.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use super::{PeerGroup, ServeLimits};

/// A connection, for those who serve its requests: they find it among a request's extensions.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    group: PeerGroup,
    cut: CancellationToken,
    state: Mutex<State>,
}

/// What a request holds until its response is written.
type Held = Arc<dyn Any + Send + Sync>;

struct State {
    phase: Phase,
    /// Requests whose responses are being made.
    open: u32,
    held: Option<Held>,
    /// Since when the client has taken nothing of what waits for it.
    blocked: Option<Instant>,
    long: Window,
    short: Window,
    /// The client's rate in the last short window, in bytes a second, if the server waited for it.
    slow: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// There is no request. `heard`: when the first byte of the next one came.
    Waiting { since: Instant, first: bool, heard: Option<Instant> },
    /// A request is being answered.
    Answering,
    /// The response is made, and not yet written.
    Writing,
}

/// What a connection is for the one who looks for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has had no request since then.
    Waiting(Instant),
    /// It takes its response slowly, with so many bytes a second.
    Slow(u64),
    /// It does what it is there for.
    Busy,
}

/// A stretch of time in which it is measured what a client takes.
#[derive(Debug, Clone, Copy)]
struct Window {
    begun: Instant,
    blocked: Duration,
    bytes: u64,
}

impl Window {
    const fn new(begun: Instant) -> Self {
        Self { begun, blocked: Duration::ZERO, bytes: 0 }
    }

    /// If the window is over: begins the next one, and gives the client's rate if the server
    /// waited for it most of the time.
    fn roll(&mut self, now: Instant, length: Duration) -> Option<Option<u64>> {
        let lasted = now.saturating_duration_since(self.begun);
        if lasted < length || lasted.is_zero() {
            return None;
        }
        let rate = (self.bytes as f64 / lasted.as_secs_f64()) as u64;
        let waited = self.blocked * 2 >= lasted;
        *self = Self::new(now);
        Some(waited.then_some(rate))
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Waiting { since: now, first: true, heard: None },
            open: 0,
            held: None,
            blocked: None,
            long: Window::new(now),
            short: Window::new(now),
            slow: None,
        }
    }

    /// Adds the time since the last look to what the server has waited.
    fn count(&mut self, now: Instant) {
        if let Some(since) = self.blocked {
            let waited = now.saturating_duration_since(since);
            self.long.blocked += waited;
            self.short.blocked += waited;
            self.blocked = Some(now);
        }
    }

    /// Closes windows that are over; the rate over a long one if the server waited.
    fn roll(&mut self, limits: &ServeLimits, now: Instant) -> Option<u64> {
        self.count(now);
        if let Some(rate) = self.short.roll(now, limits.crowded_window) {
            self.slow = rate.filter(|rate| *rate < limits.crowded_rate);
        }
        self.long.roll(now, limits.rate_window).flatten()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("phase", &self.phase)
            .field("blocked", &self.blocked)
            .field("slow", &self.slow)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            group: PeerGroup::from(address.ip()),
            cut: CancellationToken::new(),
            state: Mutex::new(State::new(Instant::now())),
        }
    }

    /// Where the client is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// With whom it is counted.
    #[must_use]
    pub const fn group(&self) -> PeerGroup {
        self.group
    }

    /// Ends the connection, and with it what it holds.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether it was ended by [`cut`](Self::cut).
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    pub(super) async fn cut_off(&self) {
        self.cut.cancelled().await;
    }

    /// Keeps something until the response of the present request is written: it takes memory until
    /// then, although it is made. It replaces what an earlier request held.
    pub fn hold<T: Send + Sync + 'static>(&self, thing: Arc<T>) {
        let before = self.state().held.replace(thing);
        drop(before);
    }

    /// What an earlier request of this connection still holds, because its response is not yet written.
    #[must_use]
    pub fn held<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let held = self.state().held.clone();
        held.and_then(|held| held.downcast().ok())
    }

    /// Lets go of what its request holds: the connection is over.
    pub(super) fn release(&self) {
        let held = self.state().held.take();
        drop(held);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        let mut state = self.state();
        state.open += 1;
        if state.blocked.is_none() {
            state.short = Window::new(Instant::now());
            state.slow = None;
        }
        state.phase = Phase::Answering;
        OpenRequest { connection: Arc::clone(self) }
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        if let Phase::Waiting { heard: heard @ None, .. } = &mut self.state().phase {
            *heard = Some(Instant::now());
        }
    }

    /// It was tried to write.
    pub(super) fn wrote(&self, result: &Poll<io::Result<usize>>) {
        let mut state = self.state();
        match result {
            Poll::Pending => {
                if state.blocked.is_none() {
                    state.blocked = Some(Instant::now());
                }
            }
            Poll::Ready(result) => {
                if state.blocked.is_some() {
                    state.count(Instant::now());
                    state.blocked = None;
                }
                let bytes = result.as_ref().map_or(0, |bytes| *bytes as u64);
                state.long.bytes += bytes;
                state.short.bytes += bytes;
            }
        }
    }

    /// All that there was is written.
    pub(super) fn flushed(&self) {
        let held = {
            let mut state = self.state();
            if !matches!(state.phase, Phase::Writing) {
                return;
            }
            state.phase = Phase::Waiting { since: Instant::now(), first: false, heard: None };
            state.held.take()
        };
        drop(held);
    }

    /// Why the connection must end, if it must.
    pub(super) fn overdue(&self, limits: &ServeLimits, now: Instant) -> Option<&'static str> {
        let mut state = self.state();
        if let Some(rate) = state.roll(limits, now)
            && rate < limits.min_rate
        {
            return Some("it takes its response too slowly");
        }
        let past = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        match state.phase {
            Phase::Waiting { since, first: true, .. } if past(since, limits.header_timeout) => {
                Some("it makes no request")
            }
            Phase::Waiting { heard: Some(heard), first: false, .. } if past(heard, limits.header_timeout) => {
                Some("it does not finish its request")
            }
            Phase::Waiting { heard: None, first: false, since } if past(since, limits.idle_timeout) => {
                Some("it makes no further request")
            }
            _ => None,
        }
    }

    /// What the connection is for those who look for a place.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        match (state.phase, state.slow) {
            (Phase::Waiting { since, .. }, _) => Standing::Waiting(since),
            (_, Some(rate)) => Standing::Slow(rate),
            _ => Standing::Busy,
        }
    }
}

/// A request that is being answered, until its response is made.
#[derive(Debug)]
pub(super) struct OpenRequest {
    connection: Arc<Connection>,
}

impl OpenRequest {
    /// Stays open for as long as the body is made.
    pub(super) fn follow(self, body: Body) -> Body {
        Body::new(Followed { body, _open: self })
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        state.open -= 1;
        if state.open == 0 {
            state.phase = Phase::Writing;
        }
    }
}

struct Followed {
    body: Body,
    _open: OpenRequest,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn connection() -> (Arc<Connection>, Instant) {
        let connection = Arc::new(Connection::new(SocketAddr::from(([192, 0, 2, 1], 7))));
        let begun = Instant::now();
        *connection.state() = State::new(begun);
        (connection, begun)
    }

    #[test]
    fn a_client_has_so_long_for_a_request_and_so_long_between_two() {
        let limits = ServeLimits::default();
        let (connection, begun) = connection();
        assert_eq!(connection.overdue(&limits, begun + 9 * SECOND), None);
        assert!(connection.overdue(&limits, begun + 10 * SECOND).is_some());
        connection.heard();
        assert!(connection.overdue(&limits, begun + 10 * SECOND).is_some(), "one byte is no request");

        let open = connection.begin();
        assert_eq!(connection.overdue(&limits, begun + 3600 * SECOND), None, "an answer may take its time");
        drop(open);
        assert_eq!(connection.standing(), Standing::Busy, "it is made, and not written");
        connection.flushed();
        let now = Instant::now();
        assert_eq!(connection.overdue(&limits, now + 59 * SECOND), None);
        assert!(connection.overdue(&limits, now + 60 * SECOND).is_some());
        connection.heard();
        assert!(connection.overdue(&limits, Instant::now() + 10 * SECOND).is_some());
    }

    #[test]
    fn who_takes_too_little_is_slow_and_then_overdue() {
        let limits = ServeLimits::default();
        let (connection, begun) = connection();
        let _open = connection.begin();
        connection.state().blocked = Some(begun);
        assert_eq!(connection.overdue(&limits, begun + SECOND), None);
        assert_eq!(connection.standing(), Standing::Busy);
        assert_eq!(connection.overdue(&limits, begun + 4 * SECOND), None);
        assert_eq!(connection.standing(), Standing::Slow(0));
        assert!(connection.overdue(&limits, begun + 40 * SECOND).is_some());
    }

    #[test]
    fn who_takes_enough_is_neither_and_who_is_not_waited_for_is_not_measured() {
        let limits = ServeLimits::default();
        let (connection, begun) = connection();
        let _open = connection.begin();
        for second in 1..100 {
            connection.state().blocked = Some(begun + (second - 1) * SECOND);
            connection.state().long.bytes += 20_000;
            connection.state().short.bytes += 20_000;
            assert_eq!(connection.overdue(&limits, begun + second * SECOND), None);
            assert_eq!(connection.standing(), Standing::Busy);
        }
        connection.state().blocked = None;
        for second in 100..200 {
            assert_eq!(connection.overdue(&limits, begun + second * SECOND), None, "it is us who have nothing");
        }
    }

    #[test]
    fn what_a_request_holds_goes_when_its_response_is_written() {
        let (connection, _) = connection();
        let open = connection.begin();
        let thing = Arc::new(7_u32);
        connection.hold(Arc::clone(&thing));
        connection.flushed();
        drop(open);
        assert_eq!(connection.held::<u32>().as_deref(), Some(&7));
        connection.flushed();
        assert_eq!(connection.held::<u32>(), None);
        assert_eq!(Arc::strong_count(&thing), 1);
    }
}
