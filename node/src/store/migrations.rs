//! The steps that bring a database to this version's form, in their order.
//!
//! A list by hand: sqlx's `migrate!` compiles SQLite a second time, for the macro.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Version, description and SQL. One that was released is never changed: databases hold its digest.
const STEPS: &[(i64, &str, &str)] = &[
    (FIRST, "second edition", include_str!("../../migrations/0010_second_edition.sql")),
    (11, "auction events", include_str!("../../migrations/0011_auction_events.sql")),
    (14, "publications", include_str!("../../migrations/0014_publications.sql")),
    (15, "bounded auction events", include_str!("../../migrations/0015_bounded_auction_events.sql")),
    (16, "pending sendings", include_str!("../../migrations/0016_pending_sendings.sql")),
    (17, "order events", include_str!("../../migrations/0017_order_events.sql")),
    (19, "publications again", include_str!("../../migrations/0019_publications_again.sql")),
];
/// The first step of all. Databases that earlier ones made hold events and jobs of the contract's first edition.
pub(super) const FIRST: i64 = 10;

pub(super) fn all() -> Migrator {
    let step = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
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
