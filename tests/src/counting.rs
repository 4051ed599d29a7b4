//! A proxy in front of a chain's node that counts the calls to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    task::JoinSet,
};

/// What stands before a method's name in a request.
const BEFORE: &[u8] = b"\"method\":\"";

type Calls = Arc<Mutex<BTreeMap<String, u64>>>;

/// The proxy; it ends with this value. Calls by websocket are none of its business: their frames are masked.
#[derive(Debug)]
pub struct Counting {
    address: String,
    calls: Calls,
    _server: JoinSet<()>,
}

impl Counting {
    /// Starts one in front of the node at this host and port.
    pub async fn in_front_of(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (calls, node) = (Calls::default(), node.to_owned());
        let mut server = JoinSet::new();
        server.spawn({
            let calls = Arc::clone(&calls);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((asker, _)) = listener.accept().await {
                    let backend = TcpStream::connect(&node).await.expect("the node is there");
                    connections.spawn(forward(asker, backend, Arc::clone(&calls)));
                }
            }
        });
        Self { address, calls, _server: server }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each method was called since it was asked last.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn forward(asker: TcpStream, backend: TcpStream, calls: Calls) {
    let (from_asker, mut to_asker) = asker.into_split();
    let (mut from_backend, mut to_backend) = backend.into_split();
    // Whoever hangs up in the middle is no concern of the proxy.
    tokio::select! {
        _ = count(from_asker, &mut to_backend, &calls) => {}
        _ = tokio::io::copy(&mut from_backend, &mut to_asker) => {}
    }
}

/// Passes on what is asked, and counts the methods in it.
async fn count(
    mut from: OwnedReadHalf,
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    calls: &Calls,
) -> std::io::Result<()> {
    let (mut kept, mut bytes) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        kept.extend_from_slice(&bytes[..read]);
        while let Some(begin) = kept.windows(BEFORE.len()).position(|window| window == BEFORE) {
            let Some(length) = kept[begin + BEFORE.len()..].iter().position(|byte| *byte == b'"') else { break };
            let end = begin + BEFORE.len() + length;
            let method = String::from_utf8_lossy(&kept[begin + BEFORE.len()..end]).into_owned();
            *calls.lock().unwrap_or_else(PoisonError::into_inner).entry(method).or_default() += 1;
            kept.drain(..=end);
        }
        // A name that is cut in two is kept whole, and not much more.
        kept.drain(..kept.len().saturating_sub(256));
        to.write_all(&bytes[..read]).await?;
    }
}
