//! What every transport and every journal must do: one suite for all of them.
//!
//! The functions panic when an implementation does something else. A new transport implements [`Harness`] and calls
//! [`transport_conformance!`](crate::transport_conformance), which makes a test of each function, with a fresh market each.
#![expect(clippy::expect_used, clippy::panic, clippy::missing_panics_doc, reason = "a suite fails by panicking")]

pub mod journal;
pub mod life;
mod log;
mod party;
pub mod reading;
pub mod rejections;
pub mod salts;
pub mod signing;
pub mod submitting;

use std::sync::Arc;

use async_trait::async_trait;
pub use log::Log;
pub use party::Party;

use crate::{Cursor, Transport};

/// One market, and what can be done to it from outside.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The transport of a party. The first time, the party gets 1,000 FIL outside the market; the same name is the same party
    /// with the same memory, after a restart too.
    async fn connect(&self, name: &str) -> Arc<dyn Transport>;

    /// Lets the market's time pass.
    async fn advance(&self, seconds: u64);

    /// Makes everything that has landed final. Nothing is final before.
    async fn confirm(&self);

    /// A reorganisation: the blocks above this position's are replaced by others. What they held may come back by itself or
    /// not.
    async fn fork_after(&self, position: Cursor);

    /// Breaks all connections once.
    async fn cut(&self);

    /// Stops everything that can be stopped and starts it again. The transports of before are dropped by the caller.
    async fn restart(&self);
}

/// Makes a test of each function of the suite; the argument is an expression that makes a future of a fresh
/// [`Harness`](crate::conformance::Harness).
#[macro_export]
macro_rules! transport_conformance {
    ($harness:expr) => {
        $crate::transport_conformance! { @ $harness;
            life: every_end_pays_whom_it_should, an_account_is_not_called_back, what_has_ended_is_forgotten,
                money_comes_in_and_goes_out;
            reading: a_replay_from_any_position_gives_the_rest, jobs_opened_before_connecting_are_seen,
                a_cut_connection_loses_and_repeats_nothing, a_restart_loses_and_repeats_nothing,
                a_fork_is_undone_and_read_again, a_reader_who_stood_on_a_dropped_fork_is_led_back,
                events_of_one_transaction_are_kept_apart, a_slow_reader_loses_nothing,
                events_come_before_they_are_final, time_is_told;
            submitting: the_same_key_lands_once, the_same_key_lands_once_after_a_restart,
                a_key_belongs_to_one_command, what_a_fork_undid_lands_again, commands_of_many_parties_all_land,
                value_goes_where_it_is_taken;
            rejections: refusals_are_typed, a_refused_command_may_be_tried_again, what_is_too_late_or_too_early_says_when;
            salts: salts_slide_past_what_is_spent, a_revoked_salt_opens_nothing, lanes_do_not_concern_each_other;
            signing: a_signed_job_is_opened_by_anybody, a_signed_job_is_opened_and_locked,
                a_batch_settles_what_was_signed_and_skips_the_rest, another_partys_signature_is_refused;
        }
    };
    (@ $harness:expr; $($module:ident: $($test:ident),+;)+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::conformance::$module::$test(&$harness.await).await;
            })+
        })+
    };
}
