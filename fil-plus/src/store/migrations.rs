//! The steps that bring a database to this version's form, in their order.
//!
//! A list by hand: sqlx's `migrate!` compiles SQLite a second time, for the macro.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Version, description and SQL. One that was released is never changed: databases hold its digest.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "registry", include_str!("../../migrations/0001_registry.sql")),
    (2, "generation", include_str!("../../migrations/0002_generation.sql")),
    (3, "provenance", include_str!("../../migrations/0003_provenance.sql")),
];

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
