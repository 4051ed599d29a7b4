//! The steps that bring a database to this version's form, in their order.
//!
//! A list by hand: sqlx's `migrate!` compiles SQLite a second time, for the macro.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Version, description and SQL. One that was released is never changed: databases hold its digest.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "begin", include_str!("../../migrations/0001_begin.sql")),
    (3, "published specs", include_str!("../../migrations/0003_published_specs.sql")),
    (4, "events in order", include_str!("../../migrations/0004_events_in_order.sql")),
    (5, "request bodies", include_str!("../../migrations/0005_request_bodies.sql")),
    (7, "job filters", include_str!("../../migrations/0007_job_filters.sql")),
    (8, "positions of the chain", include_str!("../../migrations/0008_positions_of_the_chain.sql")),
    (9, "typed failures", include_str!("../../migrations/0009_typed_failures.sql")),
];

pub(super) fn all() -> Migrator {
    up_to(i64::MAX)
}

/// The steps up to this version.
pub(super) fn up_to(last: i64) -> Migrator {
    let step = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().filter(|(version, ..)| *version <= last).map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_step() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        files.sort();
        let steps: Vec<String> =
            STEPS.iter().map(|(version, name, _)| format!("{version:04}_{}.sql", name.replace(' ', "_"))).collect();
        assert_eq!(steps, files);
    }
}
