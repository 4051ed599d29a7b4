//! The steps that bring a database to this version's form, in their order.

use lota_database::Steps;

/// Of the contract's second edition on.
pub(super) const STEPS: Steps = Steps(&[
    (FIRST, "second edition", include_str!("../../migrations/0010_second_edition.sql")),
    (11, "auction events", include_str!("../../migrations/0011_auction_events.sql")),
    (14, "publications", include_str!("../../migrations/0014_publications.sql")),
    (15, "bounded auction events", include_str!("../../migrations/0015_bounded_auction_events.sql")),
    (16, "pending sendings", include_str!("../../migrations/0016_pending_sendings.sql")),
    (17, "order events", include_str!("../../migrations/0017_order_events.sql")),
    (18, "publications again", include_str!("../../migrations/0018_publications_again.sql")),
    (19, "rails", include_str!("../../migrations/0019_rails.sql")),
]);
/// The first step of all. Databases that earlier ones made hold events and jobs of the contract's first edition.
pub(super) const FIRST: i64 = 10;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_a_step() {
        assert_eq!(STEPS.check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")), Ok(()));
    }
}
