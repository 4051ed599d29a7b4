//! Requests on disk: a file of JSON for each, written beside its place and renamed.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use lota_bridge::BlessingRef;
use lota_market::{B256, Time, model::JobId};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::Answer;
use crate::attestation::Envelope;

/// A request, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) job: JobId,
    pub(super) round: u32,
    pub(super) blessing: BlessingRef,
    pub(super) asked_at: Time,
    pub(super) answer_by: Time,
    pub(super) envelope: Envelope,
    /// Its server has it.
    pub(super) sent: bool,
    /// What was answered, and the envelope that it came in.
    pub(super) answer: Option<(Answer, Envelope)>,
}

impl Kept {
    /// Whether it is about this round of a job.
    pub(super) fn is_of(&self, blessing: &BlessingRef, job: JobId, round: u32) -> bool {
        (self.job, self.round) == (job, round) && self.blessing == *blessing
    }
}

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Reads what is there.
    pub(super) fn open(path: &Path) -> io::Result<(Self, BTreeMap<B256, Kept>)> {
        std::fs::create_dir_all(path)?;
        let mut requests = BTreeMap::new();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut id = [0; 32];
            let Some(digits) = name.strip_suffix(".json") else { continue };
            if hex::decode_to_slice(digits, &mut id).is_err() {
                continue;
            }
            let damaged = |error| io::Error::other(format!("{} is damaged: {error}", path.display()));
            requests.insert(B256::from(id), serde_json::from_slice(&std::fs::read(&path)?).map_err(damaged)?);
        }
        Ok((Self(path.to_owned()), requests))
    }

    /// Writes one; it is on the disk when this returns.
    pub(super) async fn write(&self, id: B256, kept: &Kept) -> io::Result<()> {
        let (folder, bytes) = (self.0.clone(), serde_json::to_vec(kept)?);
        let write = move || {
            let path = folder.join(format!("{}.json", hex::encode(id)));
            let beside = path.with_extension("tmp");
            let mut file = File::create(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            File::open(&folder)?.sync_all()
        };
        spawn_blocking(write).await.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?
    }
}
