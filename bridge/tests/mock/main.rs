//! The websocket mock: the suite of all transports over a socket, and what strangers, disks and clocks do to it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod asyncapi;
mod disk;
mod forged;
mod harness;
mod hostile;
mod restart;
mod schemas;
mod slow;

lota_bridge::transport_conformance!(crate::harness::Mock::begin());
lota_bridge::auction_conformance!(crate::harness::Mock::begin());
