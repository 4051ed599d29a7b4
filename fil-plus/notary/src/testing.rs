//! Servers of our own for tests.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

/// Serves until the runtime ends; returns where.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.expect("a port").local_addr().expect("bound")
}
