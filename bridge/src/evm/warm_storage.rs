//! Filecoin's warm storage service (FilOzone/filecoin-services), as far as a payer needs it: what it signs, what it has, and which of
//! the operations that it signed are on chain.
//!
//! Storage providers send the payer's signed operations to the PDP verifier, which asks the service. Each operation carries a number of
//! the payer's choice (its nonce) that the service takes once, so sending one again does nothing twice; and what the service remembers
//! of a nonce tells whether the operation landed, whatever a provider says.

mod signing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use alloy::sol_types::SolCall;
use lota_market::{Address, U256};
use tokio::sync::OnceCell;

use super::chain::{At, Chain, Config, Network, RpcError};
pub use signing::{Domain, Metadata, create_and_add};

/// How long the chain's node may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Epochs of a month, as the service counts them.
const EPOCHS_PER_MONTH: u64 = 86_400;
/// Bytes that prices are for.
const TIB: u64 = 1 << 40;

/// The functions that are called.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol! {
        function viewContractAddress() external view returns (address);
        function paymentsContractAddress() external view returns (address);
        function sessionKeyRegistry() external view returns (address);
        function pdpVerifierAddress() external view returns (address);

        // of the PDP verifier (FilOzone/pdp)
        function dataSetLive(uint256 setId) external view returns (bool);
        function pieceLive(uint256 setId, uint256 pieceId) external view returns (bool);
        function getScheduledRemovals(uint256 setId) external view returns (uint256[] memory);

        // of the view contract
        function clientNonces(address payer, uint256 nonce) external view returns (uint256);
        struct DataSetInfoView {
            uint256 pdpRailId;
            uint256 cacheMissRailId;
            uint256 cdnRailId;
            address payer;
            address payee;
            address serviceProvider;
            uint256 commissionBps;
            uint256 clientDataSetId;
            uint256 pdpEndEpoch;
            uint256 providerId;
            uint96 pendingOneTimePayments;
            uint96 lifecycleReserveBalance;
            uint256 dataSetId;
        }
        function getDataSet(uint256 dataSetId) external view returns (DataSetInfoView memory info);
        struct Rates {
            uint256 storagePerTibPerMonth;
            uint256 datasetFeePerMonth;
            uint256 cdnEgressPerTib;
            uint256 cacheMissEgressPerTib;
        }
        struct Fees {
            uint256 createDataSetFee;
            uint256 addPiecesBaseFee;
            uint256 addPiecesPerPieceFee;
            uint256 schedulePieceRemovalsFee;
            uint256 terminateFee;
        }
        struct Lockups {
            uint256 lifecycleReserveTarget;
            uint256 replenishThreshold;
            uint256 defaultLockupPeriod;
            uint256 cdnLockupAmount;
            uint256 cacheMissLockupAmount;
            uint256 cdnLockupPeriod;
        }
        struct PriceList {
            address token;
            Rates rates;
            Fees fees;
            Lockups lockups;
        }
        function getPriceList() external view returns (PriceList memory list);

        // of Filecoin Pay
        function accounts(address token, address owner) external view
            returns (uint256 funds, uint256 lockupCurrent, uint256 lockupRate, uint256 lockupLastSettledAt);
        function operatorApprovals(address token, address client, address operator) external view
            returns (
                bool isApproved,
                uint256 rateAllowance,
                uint256 lockupAllowance,
                uint256 rateUsage,
                uint256 lockupUsage,
                uint256 maxLockupPeriod
            );

        // of the registry of session keys
        function authorizationExpiry(address user, address signer, bytes32 permission) external view returns (uint256);
    }
}

/// The service on a chain, for one payer. It connects when it is asked first.
pub struct WarmStorage {
    rpc: String,
    service: Address,
    payer: Address,
    connected: OnceCell<Connected>,
}

struct Connected {
    chain: Chain,
    view: Address,
    payments: Address,
    registry: Address,
    verifier: Address,
}

/// A data set that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSet {
    /// The payer's number for it.
    pub number: U256,
    /// The last epoch of its service, once somebody terminated that; it takes no more pieces then.
    pub end: Option<U256>,
}

/// An operation of the payer's that is on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The data set that it created or added pieces to.
    pub data_set: u64,
    /// The id of the last piece that it added; none if it created the data set.
    pub last_piece: Option<u64>,
    /// Whether the chain will not undo it.
    pub is_final: bool,
}

/// Why the service would refuse to store something now; the text says what the payer can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// The session key may not sign.
    #[error(
        "the session key {signer} may not sign `{operation}` for {payer} now (its leave {until}); the payer allows it with `login` of the \
         session key registry {registry}"
    )]
    SessionKey { signer: Address, payer: Address, operation: &'static str, until: String, registry: Address },
    /// The service may not take the payer's money.
    #[error(
        "{payer} has not approved the service {service} on Filecoin Pay for as much as this needs: allowances left are {rate} an epoch and \
         {lockup} of lockup for {period} epochs at most, needed are {rate_needed} and {lockup_needed} for {period_needed} epochs (in the \
         token's smallest unit); `setOperatorApproval` of {payments} raises them"
    )]
    Approval {
        payer: Address,
        service: Address,
        payments: Address,
        rate: U256,
        lockup: U256,
        rate_needed: U256,
        lockup_needed: U256,
        /// The longest that money may be locked up for, in epochs.
        period: U256,
        period_needed: U256,
    },
    /// The payer has too little money.
    #[error(
        "{payer} has {available} free on Filecoin Pay {payments}, and this needs {needed} (in the smallest unit of the token {token}); \
         `deposit` it there"
    )]
    Funds { payer: Address, payments: Address, token: Address, available: U256, needed: U256 },
}

impl WarmStorage {
    /// The service at this address, on the chain of that node.
    #[must_use]
    pub fn new(rpc: &str, service: Address, payer: Address) -> Self {
        Self { rpc: rpc.to_owned(), service, payer, connected: OnceCell::new() }
    }

    /// Who pays.
    #[must_use]
    pub fn payer(&self) -> Address {
        self.payer
    }

    /// The service's contract.
    #[must_use]
    pub fn service(&self) -> Address {
        self.service
    }

    async fn connected(&self) -> Result<&Connected, RpcError> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Connected, RpcError> {
        let id = Chain::id_at(&self.rpc, TIMEOUT).await?;
        let network = Network::with_chain_id(id).unwrap_or(Network { chain_id: id, ..Network::FILECOIN });
        let chain = Chain::connect(Config { timeout: TIMEOUT, ..Config::new(&network, self.rpc.clone()) }).await?;
        let view = read(&chain, self.service, abi::viewContractAddressCall {}, At::Latest).await?;
        let payments = read(&chain, self.service, abi::paymentsContractAddressCall {}, At::Latest).await?;
        let registry = read(&chain, self.service, abi::sessionKeyRegistryCall {}, At::Latest).await?;
        let verifier = read(&chain, self.service, abi::pdpVerifierAddressCall {}, At::Latest).await?;
        if [view, payments, registry, verifier].contains(&Address::ZERO) {
            let service = self.service;
            return Err(RpcError::Malformed(format!(
                "{service} on chain {id} is not set up as a warm storage service"
            )));
        }
        Ok(Connected { chain, view, payments, registry, verifier })
    }

    /// What the payer signs for.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn domain(&self) -> Result<Domain, RpcError> {
        Ok(Domain { chain_id: self.connected().await?.chain.id(), service: self.service })
    }

    /// What became of the payer's operation with this nonce; none as long as it has not landed.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn landed(&self, nonce: U256) -> Result<Option<Landed>, RpcError> {
        let Connected { chain, view, .. } = self.connected().await?;
        let call = || abi::clientNoncesCall { payer: self.payer, nonce };
        let Some(mut landed) = landed(read(chain, *view, call(), At::Latest).await?)? else { return Ok(None) };
        landed.is_final = self::landed(read(chain, *view, call(), last(chain, true).await?).await?)?
            .is_some_and(|then| Landed { is_final: false, ..then } == landed);
        Ok(Some(landed))
    }

    /// A data set of this id, unless it has ended and its storage is given up; with `is_final`, in a block that is final.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn data_set(&self, id: u64, is_final: bool) -> Result<Option<DataSet>, RpcError> {
        let Connected { chain, view, verifier, .. } = self.connected().await?;
        let (id, at) = (U256::from(id), last(chain, is_final).await?);
        let found = read(chain, *view, abi::getDataSetCall { dataSetId: id }, at).await?;
        // The service forgets a data set that is deleted.
        if found.pdpRailId.is_zero() || !read(chain, *verifier, abi::dataSetLiveCall { setId: id }, at).await? {
            return Ok(None);
        }
        let end = (!found.pdpEndEpoch.is_zero()).then_some(found.pdpEndEpoch);
        Ok(Some(DataSet { number: found.clientDataSetId, end }))
    }

    /// Whether a piece stays in a data set: it is there, and is not to be removed with the next proving period; with `is_final`,
    /// in a block that is final.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn stays(&self, data_set: u64, piece: u64, is_final: bool) -> Result<bool, RpcError> {
        let Connected { chain, verifier, .. } = self.connected().await?;
        let (set, id, at) = (U256::from(data_set), U256::from(piece), last(chain, is_final).await?);
        // Of a data set that there is not, the verifier gives no removals.
        Ok(read(chain, *verifier, abi::pieceLiveCall { setId: set, pieceId: id }, at).await?
            && !read(chain, *verifier, abi::getScheduledRemovalsCall { setId: set }, at).await?.contains(&id))
    }

    /// Whether the payer could have `size` bytes more stored now, signed for by `signer`; `is_new`: in a data set to be created.
    /// The prices are the service's own.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn readiness(&self, signer: Address, size: u64, is_new: bool) -> Result<Result<(), Unready>, RpcError> {
        let Connected { chain, view, payments, registry, .. } = self.connected().await?;
        let (payer, service, payments, registry) = (self.payer, self.service, *payments, *registry);
        let latest = chain.latest().await?;
        if signer != payer {
            for (operation, permission) in signing::permissions(is_new) {
                let call = abi::authorizationExpiryCall { user: payer, signer, permission };
                let until = read(chain, registry, call, At::Latest).await?;
                if until < U256::from(latest.time().0) {
                    let until = if until.is_zero() { "is not given".to_owned() } else { format!("ended at {until}") };
                    return Ok(Err(Unready::SessionKey { signer, payer, operation, until, registry }));
                }
            }
        }
        let list = read(chain, *view, abi::getPriceListCall {}, At::Latest).await?;
        let (rate_needed, lockup_needed) = needed(&list, size, is_new);
        let call = abi::operatorApprovalsCall { token: list.token, client: payer, operator: service };
        let approval = read(chain, payments, call, At::Latest).await?;
        let (rate, lockup) = if approval.isApproved {
            (
                approval.rateAllowance.saturating_sub(approval.rateUsage),
                approval.lockupAllowance.saturating_sub(approval.lockupUsage),
            )
        } else {
            (U256::ZERO, U256::ZERO)
        };
        let (period, period_needed) = (approval.maxLockupPeriod, list.lockups.defaultLockupPeriod);
        // A data set that is there keeps its period.
        let is_too_short = is_new && period < period_needed;
        if rate < rate_needed || lockup < lockup_needed || is_too_short {
            return Ok(Err(Unready::Approval {
                payer,
                service,
                payments,
                rate,
                lockup,
                rate_needed,
                lockup_needed,
                period,
                period_needed,
            }));
        }
        let account = read(chain, payments, abi::accountsCall { token: list.token, owner: payer }, At::Latest).await?;
        let epochs = U256::from(latest.number()).saturating_sub(account.lockupLastSettledAt);
        let locked = account.lockupCurrent.saturating_add(account.lockupRate.saturating_mul(epochs));
        let available = account.funds.saturating_sub(locked);
        if available < lockup_needed {
            return Ok(Err(Unready::Funds { payer, payments, token: list.token, available, needed: lockup_needed }));
        }
        Ok(Ok(()))
    }
}

/// What `size` more bytes take: an epoch, and locked at once with the fees.
fn needed(list: &abi::PriceList, size: u64, is_new: bool) -> (U256, U256) {
    let month = U256::from(EPOCHS_PER_MONTH);
    let bytes = list.rates.storagePerTibPerMonth.saturating_mul(U256::from(size));
    let mut monthly = bytes.div_ceil(U256::from(TIB));
    let mut fees = list.fees.addPiecesBaseFee.saturating_add(list.fees.addPiecesPerPieceFee);
    if is_new {
        monthly = monthly.saturating_add(list.rates.datasetFeePerMonth);
        fees = fees.saturating_add(list.fees.createDataSetFee).saturating_add(list.lockups.lifecycleReserveTarget);
    }
    let rate = monthly.div_ceil(month);
    (rate, rate.saturating_mul(list.lockups.defaultLockupPeriod).saturating_add(fees))
}

/// A nonce's word: the data set in the lower half, the id behind the last piece in the upper one.
fn landed(word: U256) -> Result<Option<Landed>, RpcError> {
    if word.is_zero() {
        return Ok(None);
    }
    let malformed = |_| RpcError::Malformed(format!("{word} is not what the service keeps of a nonce"));
    let data_set = u64::try_from(word & U256::from(u128::MAX)).map_err(malformed)?;
    let end = u64::try_from(word >> 128).map_err(malformed)?;
    Ok(Some(Landed { data_set, last_piece: end.checked_sub(1), is_final: false }))
}

/// The newest block, or the newest of those that are final.
async fn last(chain: &Chain, is_final: bool) -> Result<At, RpcError> {
    if !is_final {
        return Ok(At::Latest);
    }
    let latest = chain.latest().await?;
    let last = chain.finalized(&latest, true).await?;
    if last >= latest.number() {
        return Ok(At::Latest);
    }
    Ok(At::Block(chain.at_or_below(last).await?.number()))
}

async fn read<C: SolCall>(chain: &Chain, contract: Address, call: C, at: At) -> Result<C::Return, RpcError> {
    let data = chain.view(contract, &call.abi_encode().into(), at).await?;
    C::abi_decode_returns_validate(&data)
        .map_err(|error| RpcError::Malformed(format!("{contract} answers {} with nonsense: {error}", C::SIGNATURE)))
}

/// A nonce that follows from what it is for, so that the same operation has the same one.
#[must_use]
pub fn nonce(parts: &[&[u8]]) -> U256 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    U256::from_be_bytes(alloy::primitives::keccak256(bytes).0)
}
