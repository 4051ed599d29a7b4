//! The steps that bring a database to this version's form, in their order.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Version, description and SQL. One that was released is never changed: databases hold its digest.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "history", include_str!("../../migrations/0001_history.sql")),
    (2, "gateways", include_str!("../../migrations/0002_gateways.sql")),
];

pub(super) fn all() -> Migrator {
    let step = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
}
