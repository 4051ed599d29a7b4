//! The steps that bring the history to this version's form, in their order.

use lota_database::Steps;

pub(super) const STEPS: Steps = Steps(&[
    (1, "history", include_str!("../../migrations/history/0001_history.sql")),
    (2, "gateways", include_str!("../../migrations/history/0002_gateways.sql")),
    (3, "letting go", include_str!("../../migrations/history/0003_letting_go.sql")),
]);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_a_step() {
        assert_eq!(STEPS.check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/history")), Ok(()));
    }
}
