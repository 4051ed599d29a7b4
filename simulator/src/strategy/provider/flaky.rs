//! Means well, on a machine that fails as often as the scenario's `failure` says.

use super::ProviderStrategy;

pub(super) struct Flaky;

impl ProviderStrategy for Flaky {}
