//! The steps that bring a database to this version's form, in their order.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Version, description and SQL. One that was released is never changed: databases hold its digest.
type Steps = [(i64, &'static str, &'static str)];

const HISTORY: &Steps = &[
    (1, "history", include_str!("../../migrations/0001_history.sql")),
    (2, "gateways", include_str!("../../migrations/0002_gateways.sql")),
];

/// Of the service's own database.
const SERVICE: &Steps = &[
    (1, "service", include_str!("../../migrations/service_0001.sql")),
    (2, "replaced votes", include_str!("../../migrations/service_0002.sql")),
    (3, "answers", include_str!("../../migrations/service_0003.sql")),
    (4, "where jobs stand", include_str!("../../migrations/service_0004.sql")),
];

pub(super) fn all() -> Migrator {
    migrator(HISTORY)
}

pub(crate) fn of_service() -> Migrator {
    migrator(SERVICE)
}

fn migrator(steps: &Steps) -> Migrator {
    let step = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.iter().map(step).collect())
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
        let history = HISTORY.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql"));
        let service = SERVICE.iter().map(|(version, ..)| format!("service_{version:04}.sql"));
        assert_eq!(history.chain(service).collect::<Vec<_>>(), files);
    }
}
