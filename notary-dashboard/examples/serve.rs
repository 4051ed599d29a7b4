//! Serves the page over a desk without a chain, to look at: `cargo run -p lota-notary-dashboard --example serve [PORT]`.
//! With `--hostile`, everything that strangers may write is an attack. Everybody may read; the private keys of its three notaries are 32
//! bytes of 1, of 2 and of 3.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "an example")]

#[path = "../tests/fake/mod.rs"]
mod fake;

use std::{net::SocketAddr, sync::Arc};

use lota_notary_dashboard::{Readers, Settings, router};

#[tokio::main]
async fn main() {
    let hostile = std::env::args().any(|argument| argument == "--hostile");
    let port: u16 = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(8086);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let mut settings = Settings::new(&origin).expect("an origin");
    settings.readers = Readers::Everybody;
    let desk = if hostile { fake::FakeDesk::hostile() } else { fake::FakeDesk::new() };
    println!("{origin}");
    let service = router(Arc::new(desk), settings).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await.expect("it is served");
}
