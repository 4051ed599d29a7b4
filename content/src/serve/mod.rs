//! An HTTP/1.1 server whose clients are strangers.
//!
//! What a client can hold is bounded: connections in all and for each address, the time to send a
//! request, the time without one, and the time in which it takes too little of a response. When the
//! connections are used up, a newcomer takes the place of one that waits without a request, or
//! of one that takes a response too slowly, and of the address that has the most. Who has made a
//! request and takes its answer is cut off only for somebody whose address has fewer connections.

mod connection;
mod crowd;
mod peer;
mod stream;

use std::io::{self, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use connection::Connection;
pub(crate) use connection::Standing;
pub use crowd::Descriptors;
pub use peer::PeerGroup;

use crowd::{Crowd, Member};
use stream::MeteredStream;

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 32 << 10;
/// Bytes that the system takes for a client before it sends them, at most. Half as many are the least
/// progress that is seen: the rates below are to be seen in their windows.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_UNSENT: u32 = 64 << 10;
/// The server rests this long when the system gives it no descriptor for a connection.
const REST: Duration = Duration::from_millis(50);
/// The log says so at most this often.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// How often a connection is looked at, at most and at least.
const TICK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// What a connection is told for which there is no place.
const NO_PLACE: &str =
    "{\"code\":\"unavailable\",\"message\":\"all connections of this server are in use; try again soon\"}";

/// What clients may hold.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections of one address (of IPv6: of one /64).
    pub max_per_address: usize,
    /// Time for the head of a request: from the connection on for the first one, from its first byte
    /// on for those that follow.
    pub header_timeout: Duration,
    /// Time between two requests of a connection.
    pub idle_timeout: Duration,
    /// Fewest bytes of a response that a client takes in a second, as the mean of a `rate_window` of
    /// which the server waited for it at least half. Zero: there is no such limit.
    pub min_rate: u64,
    /// Over how long the rate is taken.
    pub rate_window: Duration,
    /// Who takes fewer bytes in a second than this is cut off when others need the place.
    pub crowded_rate: u64,
    /// Over how long this rate is taken.
    pub crowded_window: Duration,
    /// How long open requests may take when the server ends.
    pub grace: Duration,
    /// Descriptors that several servers of the process share.
    pub descriptors: Option<Arc<Descriptors>>,
}

impl Default for ServeLimits {
    /// 384 connections, half of them of one address; 10 s for a head, 60 s between requests; 1 KiB/s
    /// over 40 s, 16 KiB/s over 3 s when others wait; 2 s of grace.
    fn default() -> Self {
        Self {
            max_connections: 384,
            max_per_address: 192,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            min_rate: 1 << 10,
            rate_window: Duration::from_secs(40),
            crowded_rate: 16 << 10,
            crowded_window: Duration::from_secs(3),
            grace: Duration::from_secs(2),
            descriptors: None,
        }
    }
}

impl ServeLimits {
    /// How often a connection is looked at: a few times in the shortest of its times.
    fn tick(&self) -> Duration {
        let times = [self.header_timeout, self.idle_timeout, self.rate_window, self.crowded_window];
        let shortest = times.into_iter().min().unwrap_or(TICK.1);
        (shortest / 4).clamp(TICK.0, TICK.1)
    }
}

/// Serves until `stop`, and then until the open requests are answered or the grace is over. Each
/// request has its [`Connection`] among its extensions.
pub async fn serve(listener: TcpListener, router: Router, limits: ServeLimits, stop: CancellationToken) {
    let crowd = Crowd::new(limits);
    let tasks = TaskTracker::new();
    // Ends what is still there when the grace is over, also when this future is dropped.
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    let mut said: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => match crowd.admit(address).await {
                Some(member) => {
                    let attended = attend(stream, member, router.clone(), crowd.limits().clone(), stop.clone());
                    let end = end.clone();
                    tasks.spawn(async move {
                        tokio::select! {
                            () = attended => {}
                            () = end.cancelled() => {}
                        }
                    });
                }
                None => refuse(stream),
            },
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                // Out of descriptors or memory. What waits in the queue stays there; connections
                // without a request are the first to go.
                crowd.make_room(None);
                if said.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, "no further connection can be accepted; trying again");
                }
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(REST) => {}
                }
            }
        }
    }
    drop(listener);
    tasks.close();
    // Connections that stay open must not keep the program from ending.
    let _ = tokio::time::timeout(crowd.limits().grace, tasks.wait()).await;
}

/// Whether an error of `accept` is about the one connection that it would have given.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// Says that there is no place, if the system takes that at once.
fn refuse(stream: TcpStream) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{NO_PLACE}",
        NO_PLACE.len()
    );
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(answer.as_bytes());
    }
}

/// Sets up a socket. Where an option is refused, the connection works without it.
fn prepare(stream: &TcpStream) {
    // Small answers are not held back to be sent together.
    let _ = stream.set_nodelay(true);
    // What the system takes and does not send looks like progress.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(MAX_UNSENT);
}

/// Serves one connection until it ends or must be cut off.
async fn attend(stream: TcpStream, member: Member, router: Router, limits: ServeLimits, stop: CancellationToken) {
    let connection = Arc::clone(member.connection());
    prepare(&stream);
    let io = TokioIo::new(MeteredStream::new(stream, Arc::clone(&connection)));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let open = connection.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&connection));
        // As axum's own server says who asks.
        request.extensions_mut().insert(ConnectInfo(connection.address()));
        let answer = router.call(request);
        async move { answer.await.map(|response| response.map(|body| open.follow(body))) }
    });
    let mut http = http1::Builder::new();
    // It has no timer: the times are looked after below.
    http.max_header_size(MAX_HEAD);
    let mut served = pin!(http.serve_connection(io, service));
    let mut ticks = tokio::time::interval(limits.tick());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = false;
    loop {
        tokio::select! {
            result = served.as_mut() => {
                if let Err(error) = result {
                    tracing::trace!(peer = %connection.address(), %error, "a connection ended early");
                }
                return;
            }
            () = connection.cut_off() => {
                tracing::debug!(peer = %connection.address(), "a connection made room for others");
                return;
            }
            _ = ticks.tick() => {
                if let Some(reason) = connection.overdue(&limits, Instant::now()) {
                    tracing::debug!(peer = %connection.address(), reason, "a connection was cut off");
                    return;
                }
            }
            () = stop.cancelled(), if !ending => {
                ending = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests;
