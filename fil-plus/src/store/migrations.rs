//! The steps that bring a database to this version's form, in their order.

use lota_database::Steps;

pub(super) const STEPS: Steps = Steps(&[
    (1, "registry", include_str!("../../migrations/0001_registry.sql")),
    (2, "generation", include_str!("../../migrations/0002_generation.sql")),
    (3, "provenance", include_str!("../../migrations/0003_provenance.sql")),
]);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_a_step() {
        assert_eq!(STEPS.check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")), Ok(()));
    }
}
