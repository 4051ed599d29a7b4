//! Tests of lota-content from outside: its CIDs against another implementation, and its store
//! against sudden death.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests are tests too, which clippy.toml cannot know in an integration test"
)]

mod cases;
mod golden;
mod kill;
