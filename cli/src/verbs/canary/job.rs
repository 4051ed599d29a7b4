//! The canary's job: its module, its spec, and what its output must be.

use std::{io, sync::Arc};

use anyhow::{Context as _, bail, ensure};
use futures::{Stream, TryStreamExt as _};
use lota_content::{
    CarImportOptions, Cid, DagScope, ImportOptions, Store, StoreOptions, SyncPolicy, car_import, car_stream,
};
use lota_market::spec::{JobSpec, Limits, Link};
use lota_node::executor::Run;
use tokio_util::io::StreamReader;

use crate::{
    api::{Api, Part},
    scratch::{Purpose, Scratch},
};

/// What canary.wat compiles to: it prints its arguments, each with a NUL behind it.
const MODULE: &[u8] = include_bytes!("canary.wasm");
/// The label of a canary's jobs; its value is the run's own number.
pub(super) const LABEL: &str = "canary";
/// What every machine is fast enough for, and what costs next to nothing.
const LIMITS: Limits =
    Limits { fuel: 1_000_000, memory: 1 << 20, output: 1 << 16, entries: 16, wall: 10, ..Limits::LEAST };

/// The most of an output that is fetched: far more than the job may write.
const MAX_BYTES: u64 = 1 << 20;
const MAX_BLOCKS: usize = 64;
/// The most of one of its files that is read, in bytes.
const MAX_FILE: u64 = 4 << 10;

/// A store for what is on its way, one for all runs.
pub(super) struct Material {
    store: Store,
    /// It goes with the store in it.
    _scratch: Scratch,
}

impl Material {
    pub(super) fn new() -> anyhow::Result<Self> {
        let scratch = Scratch::new(Purpose::Canary)?;
        let options = StoreOptions { capacity: 4 * MAX_BYTES, sync: SyncPolicy::Never };
        Ok(Self { store: Store::open(scratch.join("store"), options)?, _scratch: scratch })
    }

    /// Gives the daemon the module, which it keeps while the job needs it.
    pub(super) async fn upload(&self, api: &Api) -> anyhow::Result<Cid> {
        let options = ImportOptions { threads: 1, ..ImportOptions::default() };
        let module = lota_content::import_bytes(&self.store, MODULE, &options)?.cid;
        let car = car_stream(Arc::new(self.store.clone()), &[], &module, DagScope::All, MAX_BLOCKS);
        let stored = api.add(car.map_err(io::Error::other), false).await?;
        ensure!(
            stored.roots == [module.to_string()],
            "the daemon stored {} instead of {module}",
            stored.roots.join(", ")
        );
        Ok(module)
    }

    /// Fetches an output from the daemon, verifies every block, and compares it with what the job must write.
    pub(super) async fn check(&self, api: &Api, output: &str, nonce: &str) -> anyhow::Result<()> {
        let output = lota_content::parse_cid(output).context("the result's output is no CID")?;
        let response = api.content(&output.to_string(), &[], Part::Car).await?;
        self.take(&output, api.pieces(response).map_err(io::Error::other)).await?;
        for (name, expected) in [("stdout", stdout(nonce)), ("stderr", String::new()), ("exitCode", "0".to_owned())] {
            let entry = lota_content::resolve(&self.store, &output, name).await?;
            let found = lota_content::read_to_vec(self.store.clone(), &entry.cid, MAX_FILE).await?;
            if found != expected.as_bytes() {
                bail!(
                    "`{name}` of the output {output} is `{}` instead of `{}`",
                    found.escape_ascii(),
                    expected.escape_default()
                );
            }
        }
        Ok(())
    }

    /// Takes a CAR with this root.
    async fn take(&self, wanted: &Cid, car: impl Stream<Item = io::Result<bytes::Bytes>>) -> anyhow::Result<()> {
        let options = CarImportOptions { max_bytes: MAX_BYTES, max_blocks: MAX_BLOCKS as u64, pin: None };
        let taken = car_import(&self.store, StreamReader::new(Box::pin(car)), &options).await?;
        ensure!(taken.roots == [*wanted], "the daemon gave another content than {wanted}");
        Ok(())
    }

    /// Empties the store.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.gc()).await??;
        Ok(())
    }
}

/// The spec of a run's job.
pub(super) fn spec(module: Cid, nonce: &str) -> anyhow::Result<serde_json::Value> {
    let mut spec = JobSpec::wasm(Link(module), LIMITS);
    spec.args = vec![nonce.to_owned()];
    spec.labels = [(LABEL.to_owned(), nonce.to_owned())].into();
    let valid = spec.validate().map_err(|problems| anyhow::anyhow!("the canary's job is not valid: {problems}"))?;
    serde_json::from_str(&valid.to_json()).context("the spec is not JSON")
}

/// What the job prints.
fn stdout(nonce: &str) -> String {
    format!("{}\0{nonce}\0", Run::PROGRAM_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_what_its_source_compiles_to() {
        assert_eq!(wat::parse_str(include_str!("canary.wat")).expect("it compiles"), MODULE);
    }

    #[test]
    fn every_run_has_a_job_of_its_own() {
        let module = lota_content::cid_of_bytes(MODULE, &ImportOptions::default()).expect("small").cid;
        let (one, other) = (spec(module, "01").expect("valid"), spec(module, "02").expect("valid"));
        assert_ne!(one["args"], other["args"]);
        assert_eq!(one["labels"]["canary"], "01");
    }

    #[tokio::test]
    async fn another_root_is_refused_and_the_store_is_emptied() {
        let material = Material::new().expect("made");
        let options = ImportOptions::default();
        let cid = lota_content::import_bytes(&material.store, b"one", &options).expect("stored").cid;
        let other = lota_content::cid_of_bytes(b"other", &options).expect("small").cid;
        let car: Vec<_> = car_stream(Arc::new(material.store.clone()), &[], &cid, DagScope::All, MAX_BLOCKS)
            .map_err(io::Error::other)
            .try_collect()
            .await
            .expect("a CAR");
        let pieces = || futures::stream::iter(car.clone().into_iter().map(Ok));
        assert!(material.take(&cid, pieces()).await.is_ok());
        let refused = material.take(&other, pieces()).await.expect_err("another root");
        assert!(refused.to_string().contains("another content"), "{refused}");
        material.clear().await.expect("cleared");
        assert_eq!(material.store.usage().blocks, 0);
    }
}
