//! A client of deals with Curio: it announces them with an account of its own, and signs for Curio with the same key.

use std::{sync::Arc, time::Duration};

use alloy::{primitives::keccak256, signers::SignerSync as _};
use lota_market::{Address, B256, U256, agent::EffectKey};
use tokio::sync::OnceCell;

use super::{CurioMarket, Deal, Proposal, Stage, announce, announced, withdraw};
use crate::{
    PrivateKeySigner,
    evm::{
        account::{Account, Call, SendError},
        chain::{At, Chain, Config, MAX_RANGE, Network, RpcError},
    },
    journal::MemoryJournal,
};

/// How long the chain's node may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Filecoin's code of signatures that f410 addresses make.
const DELEGATED: u8 = 3;

/// What a client could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error("the chain cannot be asked: {0}")]
    Chain(#[from] RpcError),
    #[error("the deal could not be announced: {0}")]
    Send(#[from] SendError),
    #[error("transaction {0} announced no deal: {1} is not a contract of Lota's for deals with Curio")]
    NotAnnounced(B256, Address),
}

/// The client with this key, at a contract. It connects when it is asked first.
pub struct Client {
    rpc: String,
    contract: Address,
    signer: PrivateKeySigner,
    connected: OnceCell<Connected>,
}

struct Connected {
    chain: Chain,
    market: CurioMarket,
    account: Account,
}

impl Client {
    /// The contract at this address, on the chain of that node.
    #[must_use]
    pub fn new(rpc: &str, contract: Address, signer: PrivateKeySigner) -> Self {
        Self { rpc: rpc.to_owned(), contract, signer, connected: OnceCell::new() }
    }

    /// Whose deals these are.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// The contract.
    #[must_use]
    pub fn contract(&self) -> Address {
        self.contract
    }

    async fn connected(&self) -> Result<&Connected, RpcError> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Connected, RpcError> {
        let id = Chain::id_at(&self.rpc, TIMEOUT).await?;
        let network = Network::with_chain_id(id).unwrap_or(Network { chain_id: id, ..Network::FILECOIN });
        let chain = Chain::connect(Config { timeout: TIMEOUT, ..Config::new(&network, self.rpc.clone()) }).await?;
        let market = CurioMarket::find(&chain, self.contract).await?;
        // A deal that is announced twice costs its gas twice, and nothing else: what was sent need not outlive the process.
        let account = Account::open(&chain, self.signer.clone(), Arc::new(MemoryJournal::default()));
        Ok(Connected { chain, market, account })
    }

    /// The chain's id: whether Curio writes addresses with f or t.
    ///
    /// # Errors
    /// [`ClientError::Chain`].
    pub async fn chain_id(&self) -> Result<u64, ClientError> {
        Ok(self.connected().await?.chain.id())
    }

    /// The newest block's number.
    ///
    /// # Errors
    /// [`ClientError::Chain`].
    pub async fn epoch(&self) -> Result<u64, ClientError> {
        Ok(self.connected().await?.chain.latest().await?.number())
    }

    /// A deal of the client's with this piece and provider that is not over, if it was announced in the last 2,880 epochs, and found
    /// in as many logs as nodes search at once.
    ///
    /// # Errors
    /// [`ClientError::Chain`].
    pub async fn find(&self, provider: u64, root: B256) -> Result<Option<u64>, ClientError> {
        let Connected { chain, market, .. } = self.connected().await?;
        let latest = chain.latest().await?.number();
        let mut filter = market.announcements_of(root);
        filter.topics[2] = vec![self.address().into_word()];
        let logs = chain.logs(&filter, latest.saturating_sub(MAX_RANGE - 1), latest).await?;
        for id in logs.iter().rev().take(16).filter_map(announced) {
            let deal = market.deal(id, At::Block(latest)).await?;
            if deal.is_some_and(|deal| deal.provider == provider && deal.stage != Stage::Finalized) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Announces a deal, under a name that the same deal has when it is announced again in this process.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn announce(&self, name: &str, proposal: &Proposal) -> Result<u64, ClientError> {
        let Connected { account, .. } = self.connected().await?;
        let call = Call::new(self.contract, announce(proposal));
        let landed = account.send(&EffectKey::named(&format!("announce/{name}")), call).await?;
        let of_contract = landed.logs.iter().filter(|log| log.address == self.contract);
        let not_announced = || ClientError::NotAnnounced(landed.transaction, self.contract);
        of_contract.filter_map(announced).next().ok_or_else(not_announced)
    }

    /// A deal as the newest block has it, and whether the chain will not undo it.
    ///
    /// # Errors
    /// [`ClientError::Chain`].
    pub async fn deal(&self, id: u64) -> Result<Option<(Deal, bool)>, ClientError> {
        let Connected { chain, market, .. } = self.connected().await?;
        let latest = chain.latest().await?;
        let Some(deal) = market.deal(id, At::Block(latest.number())).await? else { return Ok(None) };
        let last = chain.finalized(&latest, true).await?;
        let is_final = match market.deal(id, At::Block(chain.at_or_below(last).await?.number())).await {
            Ok(then) => then.is_some_and(|then| then == deal),
            // The contract was not there yet.
            Err(RpcError::Malformed(_)) => false,
            Err(error) => return Err(error.into()),
        };
        Ok(Some((deal, is_final)))
    }

    /// Takes an open deal back.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw(&self, id: u64) -> Result<(), ClientError> {
        let Connected { account, .. } = self.connected().await?;
        let call = Call::new(self.contract, withdraw(id));
        account.send(&EffectKey::named(&format!("withdraw/{id}")), call).await?;
        Ok(())
    }

    /// Signs for Curio.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, alloy::signers::Error> {
        sign_delegated(&self.signer, message)
    }
}

/// The signature of an f410 address over a message, as Filecoin writes it: its code, and r, s and v (0 or 1) over the message's
/// keccak-256 (Lotus, lib/sigs/delegated).
///
/// # Errors
/// When the key does not sign.
pub fn sign_delegated(signer: &PrivateKeySigner, message: &[u8]) -> Result<Vec<u8>, alloy::signers::Error> {
    let signature = signer.sign_hash_sync(&keccak256(message))?;
    let mut bytes = vec![DELEGATED];
    bytes.extend(signature.r().to_be_bytes::<32>());
    bytes.extend(signature.s().to_be_bytes::<32>());
    bytes.push(u8::from(signature.v()));
    Ok(bytes)
}

/// The masked id of an actor: the address that contracts see it with.
#[must_use]
pub fn masked_id(actor: u64) -> Address {
    Address::from_word(B256::from((U256::from(0xff) << 152) | U256::from(actor)))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Signature;

    use super::*;

    #[test]
    fn a_delegated_signature_is_of_the_key_s_address_over_the_message_s_keccak() {
        let signer = PrivateKeySigner::from_slice(&[7; 32]).expect("a key");
        let bytes = sign_delegated(&signer, b"message").expect("signed");
        assert_eq!((bytes.len(), bytes[0]), (66, 3));
        assert!(bytes[65] < 2);
        let signature = Signature::from_scalars_and_parity(
            B256::from_slice(&bytes[1..33]),
            B256::from_slice(&bytes[33..65]),
            bytes[65] == 1,
        );
        let by = signature.recover_address_from_prehash(&keccak256(b"message")).expect("somebody's");
        assert_eq!(by, signer.address());
        assert_eq!(masked_id(1_234).to_string().to_lowercase(), "0xff000000000000000000000000000000000004d2");
    }
}
