//! From the daemon's block store to this machine.

use std::{io, path::Path};

use anyhow::bail;
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use lota_content::{CarImportOptions, Cid, ExportLimits, Exported, Store, StoreOptions, SyncPolicy};
use tokio_util::io::StreamReader;

use crate::{
    api::{Api, Part},
    scratch::{Purpose, Scratch},
};

/// Makes sure that something may be saved here.
///
/// # Errors
/// When something is there already.
pub(crate) fn check_free(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_ok() {
        bail!("{} exists already; nothing is overwritten, name another destination", path.display());
    }
    Ok(())
}

/// Saves a job's verified output, or what is at `path` in it.
///
/// # Errors
/// When it cannot be had, is damaged, or cannot be written.
pub(crate) async fn output(api: &Api, job: &str, path: &[&str], destination: &Path) -> anyhow::Result<Exported> {
    let response = api.output(job, path, Part::Car).await?;
    save(api, response, None, destination).await
}

/// Saves content.
///
/// # Errors
/// As [`output`].
pub(crate) async fn content(api: &Api, cid: &Cid, path: &[&str], destination: &Path) -> anyhow::Result<Exported> {
    let response = api.content(&cid.to_string(), path, Part::Car).await?;
    save(api, response, path.is_empty().then_some(cid), destination).await
}

async fn save(
    api: &Api,
    response: reqwest::Response,
    wanted: Option<&Cid>,
    destination: &Path,
) -> anyhow::Result<Exported> {
    from_car(api.pieces(response).map_err(io::Error::other), wanted, destination).await
}

/// Saves what a CAR holds. Every block is checked against its CID, names are checked, nothing is overwritten, no link is
/// followed.
///
/// # Errors
/// As [`output`].
pub(crate) async fn from_car(
    car: impl Stream<Item = io::Result<Bytes>>,
    wanted: Option<&Cid>,
    destination: &Path,
) -> anyhow::Result<Exported> {
    let scratch = Scratch::new(Purpose::Get)?;
    let options = StoreOptions { capacity: u64::MAX, sync: SyncPolicy::Never };
    let store = Store::open(scratch.join("store"), options)?;
    let options = CarImportOptions { pin: Some("download".to_owned()), ..CarImportOptions::default() };
    let imported = lota_content::car_import(&store, StreamReader::new(Box::pin(car)), &options).await?;
    let [root] = imported.roots.as_slice() else {
        bail!("a CAR with {} roots came instead of one", imported.roots.len());
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != root) {
        bail!("{root} came instead of {wanted}");
    }
    Ok(lota_content::export_to(store, root, destination, &ExportLimits::default()).await?)
}
