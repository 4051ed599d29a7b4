//! The transport to EVM chains: the suite of all transports, and what only a chain can do to it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod anvil;
mod blessings;
mod callbacks;
mod contract;

mod harness;
mod lotus;
mod reading;
mod sending;
mod several;
mod storage;
mod tokens;
mod unreliable;

/// The suite of all transports, through a node that behaves like Lotus.
mod like_lotus {
    lota_bridge::transport_conformance!(crate::harness::OnChain::begin(crate::harness::Via::Lotus, 3));
}

/// An auction beside the market.
mod auction_like_lotus {
    lota_bridge::auction_conformance!(crate::harness::OnChain::with_auction(crate::harness::Via::Lotus, 3));
}

/// What of the suite depends on how the node is reached, by websocket.
mod by_websocket {
    use lota_bridge::conformance::{reading, submitting};

    use crate::harness::{OnChain, Via};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replay_from_any_position_gives_the_rest() {
        reading::a_replay_from_any_position_gives_the_rest(&OnChain::begin(Via::Websocket, 0).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_fork_is_undone_and_read_again() {
        reading::a_fork_is_undone_and_read_again(&OnChain::begin(Via::Websocket, 0).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_slow_reader_loses_nothing() {
        reading::a_slow_reader_loses_nothing(&OnChain::begin(Via::Websocket, 0).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn events_come_before_they_are_final() {
        reading::events_come_before_they_are_final(&OnChain::begin(Via::Websocket, 2).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_same_key_lands_once() {
        submitting::the_same_key_lands_once(&OnChain::begin(Via::Websocket, 0).await).await;
    }
}
