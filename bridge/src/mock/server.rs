//! The server: who may connect, and for how long.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lota_market::AttoFil;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        handshake::server::{ErrorResponse, Request, Response},
        http::{StatusCode, header::ORIGIN},
        protocol::WebSocketConfig,
    },
};

use super::{connection, handlers::Market, protocol::MAX_REQUEST};
use crate::memory::{Chain, ManualClock};

/// What the operating system keeps for a reader who takes nothing, in bytes.
const SEND_BUFFER: u32 = 1 << 16;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// The bounds of what strangers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections.
    pub connections: usize,
    /// The most of one address.
    pub connections_per_address: usize,
    /// The most requests of one connection that are not answered; it is not read from meanwhile.
    pub in_flight: usize,
    /// The most bytes of them; a request for a page counts as all of them.
    pub in_flight_bytes: usize,
    /// The most subscriptions of one connection.
    pub subscriptions: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// After how much silence a connection is asked whether it is there.
    pub ping_every: Duration,
    /// So many times; then it is closed, unless it is being sent something.
    pub quiet_pings: u32,
    /// How long the other side may take nothing of what it is sent.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_address: 128,
            in_flight: 32,
            in_flight_bytes: 4 << 20,
            subscriptions: 8,
            handshake: Duration::from_secs(5),
            ping_every: Duration::from_secs(20),
            quiet_pings: 3,
            stall: Duration::from_secs(600),
        }
    }
}

/// What a server is run with.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    pub limits: Limits,
    /// The most that the faucet gives at once; none: there is no faucet.
    pub faucet: Option<AttoFil>,
    /// The chain's clock, if clients let time pass.
    pub virtual_clock: Option<ManualClock>,
}

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    cuts: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

/// How many connections each address has.
type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A connection that is counted until this is dropped.
struct Counted {
    counts: Counts,
    address: IpAddr,
}

impl Counted {
    fn new(counts: &Counts, address: IpAddr, most: usize) -> Option<Self> {
        let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self { counts: Arc::clone(counts), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// A page of some website, open in a browser on this machine, must not speak to the market.
fn refuse_browsers(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.headers().contains_key(ORIGIN) {
        let mut refused = ErrorResponse::new(Some("websites may not connect to this market (header `Origin`)".into()));
        *refused.status_mut() = StatusCode::FORBIDDEN;
        return Err(refused);
    }
    Ok(response)
}

async fn greet(stream: TcpStream, market: Arc<Market>, limits: Limits, cuts: watch::Receiver<u64>) {
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_REQUEST))
        .max_frame_size(Some(MAX_REQUEST))
        .read_buffer_size(1 << 14)
        .write_buffer_size(0);
    let accepted = accept_hdr_async_with_config(stream, refuse_browsers, Some(config));
    if let Ok(Ok(socket)) = tokio::time::timeout(limits.handshake, accepted).await {
        connection::serve(socket, market, limits, cuts).await;
    }
}

async fn accept(listener: TcpListener, market: Arc<Market>, limits: Limits, cuts: watch::Receiver<u64>) {
    let counts = Counts::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                let counted = Counted::new(&counts, address.ip(), limits.connections_per_address);
                let Some(counted) = counted.filter(|_| connections.len() < limits.connections) else {
                    // Closed at once: whoever has a place keeps it.
                    drop(stream);
                    continue;
                };
                let (market, cuts) = (Arc::clone(&market), cuts.clone());
                connections.spawn(async move {
                    greet(stream, market, limits, cuts).await;
                    drop(counted);
                });
            }
            Err(error) => {
                // Too few descriptors, mostly: they come back.
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Server {
    /// Serves a chain at this address.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub async fn start(chain: Chain, listen: SocketAddr, options: ServerOptions) -> io::Result<Self> {
        let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(listen)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let limits = options.limits;
        let (cuts, cut) = watch::channel(0);
        let accepting = tokio::spawn(accept(listener, Market::new(chain, options), limits, cut));
        Ok(Self { address, cuts, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Closes all connections once.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends it. What was acknowledged is in the log; what was not, its senders ask about again.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // Over when nothing of it runs.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What answers of one connection have in memory at most: a page, what lies ready, and a page of the log.
    const ANSWERS: usize = 2 << 20;

    #[test]
    fn strangers_cost_what_the_documentation_says() {
        let Limits { connections, connections_per_address, .. } = Limits::default();
        let (each, mebibyte) = (MAX_REQUEST + ANSWERS, 1 << 20);
        let (of_one, of_all) = (connections_per_address * each / mebibyte, connections * each / mebibyte);
        assert!(of_one <= 514 && of_all <= 2_056, "{of_one} MiB of one address, {of_all} MiB of all");
        let documentation = include_str!("../../../docs/mock.md");
        assert!(
            documentation
                .contains(&format!("| connections, and of one address | {connections}, {connections_per_address} |"))
        );
        assert!(documentation.contains("512 MiB for one address, 2 GiB if all connections"));
    }
}
