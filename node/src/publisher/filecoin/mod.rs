//! Filecoin, by a provider of provable data possession (PDP) under the warm storage service: the output's CAR becomes a piece in a data
//! set that the provider has to prove it stores, epoch after epoch, and that the payer's account on Filecoin Pay pays for.
//!
//! The provider is asked over HTTP (`pdp/handlers.go` of Curio), sends what a session key of the payer's signed to the chain, and is
//! believed in nothing: the piece's CID is computed here, and whether an operation landed is what the service's contract remembers of
//! its nonce. A nonce follows from the job and its output, so that trying again, by whichever process, pays for nothing twice. The
//! contract never forgets a nonce, so what has ended (a data set, a piece in it) is followed by one with the next number.

mod provider;
mod receipt;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use lota_bridge::{
    PrivateKeySigner,
    evm::{
        RpcError,
        warm_storage::{DataSet, Landed, WarmStorage, create_and_add, nonce},
    },
};
use lota_content::{
    Cid, DagScope, car_stream,
    piece::{PieceCommitment, PieceHasher},
};
use lota_market::{Address, U256};
use tokio::sync::mpsc;

use self::{
    provider::{Addition, Provider},
    receipt::{Receipt, Stage},
};
use super::{Content, MAX_CAR_BLOCKS, Progress, PublishError, Published, Publisher, PublisherError, Server};

/// What it is called.
pub(crate) const NAME: &str = "filecoin";
/// The least that providers take, in bytes.
const MIN_SIZE: u64 = 127;
/// How often an operation is sent that does not land, or that the chain rejects.
const TRIES: u32 = 5;
/// How long an upload may take to be ready, and an operation to land. Filecoin's finality without F3 is 7.5 h; landing takes minutes.
const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);
/// For how long after an upload was noted the provider is sent what adds the piece; later, the upload is noted again before. So the
/// receipt tells when there can be something of which no answer came.
const SENDING: Duration = Duration::from_secs(2 * 60 * 60);
/// How many data sets that have ended, or pieces of one output that are gone, are passed over at once.
const PASSED_OVER: u64 = 64;
/// Whatever data sets and pieces say of themselves: `withIPFSIndexing` has the provider serve the CAR's blocks by their CIDs, too.
const DATA_SET: [(&str, &str); 2] = [("source", "lota"), ("withIPFSIndexing", "")];

/// Where and how outputs are stored.
pub struct FilecoinOptions {
    /// The provider's PDP service.
    pub provider: String,
    /// Whom the service pays for what that provider stores: its payee in the registry of providers.
    pub payee: Address,
    /// JSON-RPC of the chain.
    pub rpc: String,
    /// The warm storage service's contract.
    pub service: Address,
    /// Whose account on Filecoin Pay pays.
    pub payer: Address,
    /// The payer's key, or better a session key that it allowed to create data sets, and to add and remove pieces.
    pub signer: PrivateKeySigner,
}

/// A storage provider that the operator pays.
pub struct Filecoin {
    provider: Provider,
    chain: WarmStorage,
    payee: Address,
    signer: PrivateKeySigner,
    /// How many data sets are known to have ended.
    ended: AtomicU64,
    /// Which data set was last asked for that is not there yet, and when: others wait for it.
    creation: tokio::sync::Mutex<Option<(U256, u64)>>,
    /// When this process began, in Unix seconds: what was given up before is tried once more.
    started: u64,
    patience: u64,
}

impl Filecoin {
    /// The provider with these options.
    ///
    /// # Errors
    /// [`PublisherError`].
    pub fn new(options: FilecoinOptions) -> Result<Self, PublisherError> {
        super::check_rpc(&options.rpc)?;
        Ok(Self {
            provider: Provider::new(Server::new(&options.provider, "a storage provider's PDP service", None)?),
            chain: WarmStorage::new(&options.rpc, options.service, options.payer),
            payee: options.payee,
            signer: options.signer,
            ended: AtomicU64::new(0),
            creation: tokio::sync::Mutex::default(),
            started: unix_time(),
            patience: PATIENCE.as_secs(),
        })
    }

    /// The payer's number of a data set with this provider; each generation follows one that has ended.
    async fn number(&self, generation: u64) -> Result<U256, PublishError> {
        let domain = self.chain.domain().await.map_err(unreachable_chain)?;
        Ok(numbered(
            &[
                b"lota: data set",
                &domain.chain_id.to_be_bytes(),
                domain.service.as_slice(),
                self.chain.payer().as_slice(),
                self.payee.as_slice(),
            ],
            generation,
        ))
    }

    /// The data set that takes pieces: the payer's number of it, and its id once it is there.
    async fn data_set(&self) -> Result<(U256, Option<u64>), PublishError> {
        let first = self.ended.load(Ordering::Relaxed);
        for generation in first..first.saturating_add(PASSED_OVER) {
            let number = self.number(generation).await?;
            let Some(landed) = self.landed(number).await? else { return Ok((number, None)) };
            if !self.has_ended(landed).await? {
                return Ok((number, Some(landed.data_set)));
            }
            self.ended.fetch_max(generation.saturating_add(1), Ordering::Relaxed);
        }
        Err(PublishError::Temporary(format!(
            "{PASSED_OVER} data sets with this provider have ended; the next is looked for"
        )))
    }

    /// The nonce of the operation that adds the piece, and whether it landed: of the first one whose piece is not gone.
    async fn addition(&self, content: &Content, piece: &PieceCommitment) -> Result<(U256, bool), PublishError> {
        let (first, cid) = (self.number(0).await?.to_be_bytes::<32>(), piece.v2().to_bytes());
        for generation in 0..PASSED_OVER {
            let nonce = numbered(&[b"lota: piece", &first, content.name.as_bytes(), &cid], generation);
            match self.landed(nonce).await? {
                None => return Ok((nonce, false)),
                Some(landed) if self.gone(landed).await?.is_some() => {}
                Some(_) => return Ok((nonce, true)),
            }
        }
        Err(PublishError::Refused(format!("{PASSED_OVER} times it was stored, and then it was gone")))
    }

    /// Whether a data set takes no more pieces. That it is not there counts only in blocks that are final: it may be so new that not
    /// all nodes of the chain know it.
    async fn has_ended(&self, Landed { data_set, is_final, .. }: Landed) -> Result<bool, PublishError> {
        match self.chain.data_set(data_set, false).await.map_err(unreachable_chain)? {
            Some(found) => Ok(found.end.is_some()),
            None if is_final => Ok(self.chain.data_set(data_set, true).await.map_err(unreachable_chain)?.is_none()),
            None => Ok(false),
        }
    }

    /// Why a piece that was added is not kept any longer, or will not be; in blocks that are final.
    async fn gone(&self, Landed { data_set, last_piece, is_final }: Landed) -> Result<Option<String>, PublishError> {
        let (Some(id), true) = (last_piece, is_final) else { return Ok(None) };
        Ok(match self.chain.data_set(data_set, true).await.map_err(unreachable_chain)? {
            None => Some(format!("data set {data_set} has ended")),
            Some(DataSet { end: Some(end), .. }) => Some(format!("data set {data_set} ends with epoch {end}")),
            Some(_) if self.stays(data_set, id, true).await? => None,
            Some(_) => Some(format!("piece {id} of data set {data_set} was removed")),
        })
    }

    async fn landed(&self, nonce: U256) -> Result<Option<Landed>, PublishError> {
        self.chain.landed(nonce).await.map_err(unreachable_chain)
    }

    async fn stays(&self, data_set: u64, id: u64, is_final: bool) -> Result<bool, PublishError> {
        self.chain.stays(data_set, id, is_final).await.map_err(unreachable_chain)
    }

    /// Uploads the CAR.
    async fn upload(&self, content: &Content, now: u64) -> Result<Published, PublishError> {
        let piece = commitment(content).await?;
        if piece.size() < MIN_SIZE {
            let size = piece.size();
            return Err(PublishError::Refused(format!("its CAR has {size} bytes, and a piece must have {MIN_SIZE}")));
        }
        let (nonce, is_added) = self.addition(content, &piece).await?;
        let receipt = Receipt { piece, nonce, stage: Stage::Uploaded { since: now } };
        if !is_added {
            let is_new = self.data_set().await?.1.is_none();
            let ready = self.chain.readiness(self.signer.address(), piece.padded_size(), is_new).await;
            ready.map_err(unreachable_chain)?.map_err(|unready| PublishError::Temporary(unready.to_string()))?;
            self.provider.upload(content, &piece).await?;
        }
        Ok(at(Progress::Pinning, receipt))
    }

    /// Has the provider add the piece to the data set, which may have to be created with it.
    async fn add(&self, receipt: Receipt, content: &Content, tries: u32, now: u64) -> Result<Published, PublishError> {
        let mut creation = self.creation.lock().await;
        let (number, data_set) = self.data_set().await?;
        let domain = self.chain.domain().await.map_err(unreachable_chain)?;
        let unsigned = |error| PublishError::Refused(format!("the session key does not sign: {error}"));
        let root = content.cid.to_string();
        let cid = receipt.piece.v2().to_bytes();
        let add = domain
            .add_pieces(&self.signer, number, receipt.nonce, &[(&cid, &[("ipfsRootCID", root.as_str())])])
            .map_err(unsigned)?;
        let transaction = match data_set {
            Some(data_set) => {
                *creation = None;
                self.provider.add(data_set, &receipt.piece, &add).await?
            }
            None => {
                let is_awaited = |(of, since): (U256, u64)| of == number && now < since.saturating_add(self.patience);
                if creation.is_some_and(is_awaited) {
                    return Ok(at(Progress::Pinning, receipt));
                }
                let payer = self.chain.payer();
                let create =
                    domain.create_data_set(&self.signer, payer, number, self.payee, &DATA_SET).map_err(unsigned)?;
                let both = create_and_add(create, add);
                let transaction = self.provider.create_and_add(self.chain.service(), &receipt.piece, &both).await?;
                *creation = Some((number, now));
                transaction
            }
        };
        let stage = Stage::Adding { transaction, data_set, since: now, tries };
        Ok(at(Progress::Pinning, Receipt { stage, ..receipt }))
    }

    /// Sends what did not land once more, as often as that makes sense.
    async fn again(&self, receipt: Receipt, content: &Content, now: u64, why: &str) -> Result<Published, PublishError> {
        let Stage::Adding { data_set, since, tries, ref transaction } = receipt.stage else {
            return self.add(receipt, content, 1, now).await;
        };
        if data_set.is_none() {
            *self.creation.lock().await = None;
        }
        if tries < TRIES {
            return self.add(receipt, content, tries + 1, now).await;
        }
        if since < self.started {
            return self.add(receipt, content, 1, now).await;
        }
        Err(PublishError::Refused(format!(
            "the deal came to nothing {tries} times: the last transaction, {transaction}, {why}; the output stays where it is kept otherwise"
        )))
    }

    /// Looks how far it is.
    async fn follow(&self, receipt: Receipt, content: &Content, now: u64) -> Result<Published, PublishError> {
        let landed = self.landed(receipt.nonce).await?;
        if let Some(landed @ Landed { data_set, last_piece: Some(id), is_final }) = landed {
            if let Some(why) = self.gone(landed).await? {
                return Err(PublishError::GivenUp(format!("it is not stored any longer: {why}")));
            }
            let progress = if is_final { Progress::Pinned } else { Progress::Pinning };
            return Ok(at(
                progress,
                Receipt { stage: Stage::Stored { data_set, id, is_final, since: now }, ..receipt },
            ));
        }
        match receipt.stage {
            Stage::Uploaded { since } => {
                if self.provider.has(&receipt.piece).await? {
                    if now >= since.saturating_add(SENDING.as_secs()) {
                        let stage = Stage::Uploaded { since: now };
                        return Ok(at(Progress::Pinning, Receipt { stage, ..receipt }));
                    }
                    self.add(receipt, content, 1, now).await
                } else if now >= since.saturating_add(self.patience) {
                    Err(PublishError::GivenUp("the provider took the upload, and does not have the piece".to_owned()))
                } else {
                    Ok(at(Progress::Pinning, receipt))
                }
            }
            Stage::Adding { ref transaction, data_set, since, .. } => {
                match self.provider.addition(transaction, data_set).await? {
                    Addition::Rejected => self.again(receipt, content, now, "was rejected by the chain").await,
                    Addition::Underway if now >= since.saturating_add(self.patience) => {
                        self.again(receipt, content, now, "did not land in time").await
                    }
                    Addition::Underway => Ok(at(Progress::Pinning, receipt)),
                }
            }
            // The chain undid it.
            Stage::Stored { .. } => {
                *self.creation.lock().await = None;
                let stage = Stage::Uploaded { since: now };
                Ok(at(Progress::Pinning, Receipt { stage, ..receipt }))
            }
        }
    }
}

#[async_trait]
impl Publisher for Filecoin {
    fn name(&self) -> &str {
        NAME
    }

    async fn publish(&self, content: &Content, receipt: Option<&str>) -> Result<Published, PublishError> {
        let now = unix_time();
        match receipt.and_then(Receipt::parse) {
            Some(receipt) => self.follow(receipt, content, now).await,
            None => self.upload(content, now).await,
        }
    }

    async fn withdraw(&self, _: &Cid, receipt: Option<&str>) -> Result<(), PublishError> {
        // Without a receipt nothing was signed for, as far as is known.
        let Some(receipt) = receipt.and_then(Receipt::parse) else { return Ok(()) };
        match self.landed(receipt.nonce).await? {
            // Paid for until the chain says otherwise, whatever the provider says.
            Some(Landed { data_set, last_piece: Some(id), .. }) => {
                let found = self.chain.data_set(data_set, false).await.map_err(unreachable_chain)?;
                // What ends with its data set need not be removed, and may not be.
                let Some(DataSet { number, end: None }) = found else { return Ok(()) };
                if !self.stays(data_set, id, false).await? {
                    return Ok(());
                }
                let domain = self.chain.domain().await.map_err(unreachable_chain)?;
                let removal = domain
                    .remove_pieces(&self.signer, number, &[id])
                    .map_err(|error| PublishError::Refused(format!("the session key does not sign: {error}")))?;
                self.provider.remove(data_set, id, &removal).await?;
                if self.stays(data_set, id, false).await? {
                    return Err(PublishError::Temporary("its removal is not on chain yet".to_owned()));
                }
                Ok(())
            }
            _ => {
                let until = match receipt.stage {
                    // It may have been signed for, and the answer lost.
                    Stage::Uploaded { since } => since.saturating_add(SENDING.as_secs()),
                    // What the chain undid it may do again.
                    Stage::Adding { since, .. } | Stage::Stored { since, .. } => since,
                };
                if unix_time() < until.saturating_add(self.patience) {
                    return Err(PublishError::Temporary("it may still be added to the data set".to_owned()));
                }
                Ok(())
            }
        }
    }

    fn again(&self, receipt: String) -> String {
        match Receipt::parse(&receipt) {
            Some(Receipt { piece, nonce, stage: Stage::Adding { transaction, data_set, since, .. } }) => {
                Receipt { piece, nonce, stage: Stage::Adding { transaction, data_set, since, tries: 0 } }.encode()
            }
            _ => receipt,
        }
    }
}

/// What a receipt of this publisher's says, for people.
pub(crate) fn detail(receipt: &str) -> Option<String> {
    Receipt::parse(receipt).map(|receipt| receipt.to_string())
}

/// A nonce for this, of the first generation or a later one.
fn numbered(parts: &[&[u8]], generation: u64) -> U256 {
    let generation = generation.to_be_bytes();
    let later: &[&[u8]] = if generation == [0; 8] { &[] } else { &[&generation] };
    nonce(&[parts, later].concat())
}

fn at(progress: Progress, receipt: Receipt) -> Published {
    Published { progress, receipt: Some(receipt.encode()) }
}

/// The commitment to the output's CAR, which is the same each time: its blocks come in the order of the DAG, each once.
pub(super) async fn commitment(content: &Content) -> Result<PieceCommitment, PublishError> {
    let (sender, mut pieces) = mpsc::channel::<Bytes>(32);
    // One thread: jobs run beside it.
    let hashing = tokio::task::spawn_blocking(move || {
        let mut hasher = PieceHasher::new(1);
        while let Some(bytes) = pieces.blocking_recv() {
            hasher.update(&bytes);
        }
        hasher.finish()
    });
    let mut car = pin!(car_stream(content.store.clone(), &[], &content.cid, DagScope::All, MAX_CAR_BLOCKS));
    while let Some(bytes) = car.next().await {
        let bytes = bytes.map_err(|error| PublishError::Temporary(error.to_string()))?;
        if sender.send(bytes).await.is_err() {
            break;
        }
    }
    drop(sender);
    hashing.await.map_err(|_| PublishError::Temporary("the node is ending".to_owned()))
}

fn unreachable_chain(error: RpcError) -> PublishError {
    PublishError::Temporary(format!("the chain cannot be asked: {error}"))
}

/// Seconds since 1970 by this machine's clock: for patience only.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
