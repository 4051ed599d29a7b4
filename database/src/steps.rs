//! The steps that bring a database to this version's form.
//!
//! Lists by hand: sqlx's `migrate!` compiles SQLite a second time, for the macro.

use std::path::Path;

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Version, description and SQL. One that was released is never changed: databases hold its digest.
pub type Step = (i64, &'static str, &'static str);

/// Steps in their order; each is a file of a folder, `0001_its_description.sql`.
#[derive(Clone, Copy, Debug)]
pub struct Steps(pub &'static [Step]);

impl Steps {
    pub(crate) fn migrator(&self) -> Migrator {
        let step = |&(version, description, sql): &Step| {
            Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
        };
        Migrator::with_migrations(self.0.iter().map(step).collect())
    }

    /// For tests: that each file of the folder is a step, and each step a file.
    ///
    /// # Errors
    /// Which are not.
    pub fn check(&self, folder: &Path) -> Result<(), String> {
        let read = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            files.push((name, std::fs::read_to_string(&path).map_err(read)?));
        }
        files.sort();
        let steps = self.0.iter().map(|&(version, description, sql)| {
            (format!("{version:04}_{}.sql", description.replace(' ', "_")), sql.to_owned())
        });
        let steps: Vec<_> = steps.collect();
        if steps == files {
            return Ok(());
        }
        let names = |of: &[(String, String)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(", ");
        let (listed, found) = (names(&steps), names(&files));
        Err(if listed == found {
            format!("a step of {found} has the SQL of another file")
        } else {
            format!("the steps are {listed}, and the files {found}")
        })
    }
}
