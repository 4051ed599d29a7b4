//! The steps that bring a service's database to this version's form, in their order.

use lota_database::Steps;

pub(super) const STEPS: Steps = Steps(&[
    (1, "service", include_str!("../../migrations/service/0001_service.sql")),
    (2, "replaced votes", include_str!("../../migrations/service/0002_replaced_votes.sql")),
    (3, "answers", include_str!("../../migrations/service/0003_answers.sql")),
    (4, "payments", include_str!("../../migrations/service/0004_payments.sql")),
    (5, "letting go", include_str!("../../migrations/service/0005_letting_go.sql")),
    (6, "where jobs stand", include_str!("../../migrations/service/0006_where_jobs_stand.sql")),
]);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_a_step() {
        assert_eq!(STEPS.check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/service")), Ok(()));
    }
}
