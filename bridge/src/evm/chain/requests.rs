//! What is asked of a chain's node, method by method.

use alloy::{
    primitives::U64,
    rpc::json_rpc::{RpcRecv, RpcSend},
};
use lota_market::{Address, AttoFil, B256, Bytes, U256};
use serde_json::{Value, json};

use super::{At, CallRequest, Chain, Filter, Header, Height, Log, Receipt, RpcError, types::quantity};

impl Chain {
    /// Calls any method; for those that have no function here.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn request<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, RpcError> {
        self.inner.endpoints.request(method, params).await
    }

    /// The code of an account in the newest block; empty of one that is no contract.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn code(&self, account: Address) -> Result<Bytes, RpcError> {
        self.request("eth_getCode", (account, "latest")).await
    }

    async fn block(&self, which: &str) -> Result<Option<Header>, RpcError> {
        self.request("eth_getBlockByNumber", (which, false)).await
    }

    /// The newest block as this call's node knows it, without a look at which chain that is.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn newest(&self) -> Result<Header, RpcError> {
        self.block("latest").await?.ok_or_else(|| RpcError::unavailable("the node knows no block yet"))
    }

    /// The block that the node gives a name to: `safe`, `finalized`. `None` when it gives it to none.
    pub(super) async fn tagged_block(&self, tag: &'static str) -> Result<Option<Header>, RpcError> {
        match self.block(tag).await {
            Err(RpcError::Refused(refusal)) => {
                tracing::debug!(tag, message = refusal.message, "the node does not say which block this is");
                Ok(None)
            }
            answer => answer,
        }
    }

    /// The block with a number; `None` when there is none: not yet, or never (a Filecoin epoch without blocks).
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block_at(&self, number: u64) -> Result<Option<Header>, RpcError> {
        match self.height(number).await? {
            Height::Block(header) => Ok(Some(header)),
            Height::Empty | Height::Beyond => Ok(None),
        }
    }

    /// What the node has at a number.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn height(&self, number: u64) -> Result<Height, RpcError> {
        height_of(number, self.block(&quantity(number)).await)
    }

    /// The block with a hash.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block_with_hash(&self, hash: B256) -> Result<Option<Header>, RpcError> {
        self.request("eth_getBlockByHash", (hash, false)).await
    }

    /// Logs in a range of blocks, both ends included, in order. Filecoin nodes take at most [`MAX_RANGE`](super::MAX_RANGE)
    /// epochs and give at most [`MAX_RESULTS`](super::MAX_RESULTS) logs.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn logs(&self, filter: &Filter, from: u64, to: u64) -> Result<Vec<Log>, RpcError> {
        let mut filter = filter.json();
        (filter["fromBlock"], filter["toBlock"]) = (quantity(from).into(), quantity(to).into());
        let mut logs: Vec<Log> = self.request("eth_getLogs", (filter,)).await?;
        logs.retain(|log| !log.removed);
        logs.sort_unstable_by_key(|log| (log.block(), log.index()));
        Ok(logs)
    }

    /// Whether the node knows a transaction: in its pool, or in a block.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn knows(&self, transaction: B256) -> Result<bool, RpcError> {
        let found: Option<serde::de::IgnoredAny> = self.request("eth_getTransactionByHash", (transaction,)).await?;
        Ok(found.is_some())
    }

    /// Who sent a transaction, and with which nonce; `None` if the node does not know it.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn sender_of(&self, transaction: B256) -> Result<Option<(Address, u64)>, RpcError> {
        #[derive(Debug, serde::Deserialize)]
        struct Sent {
            from: Address,
            nonce: U64,
        }
        let found: Option<Sent> = self.request("eth_getTransactionByHash", (transaction,)).await?;
        Ok(found.map(|Sent { from, nonce }| (from, nonce.to())))
    }

    /// What became of a transaction; `None` while it is in no block. Of several nodes two must say the same.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, RpcError> {
        if self.inner.endpoints.are_several() {
            return self.inner.endpoints.receipt(transaction).await;
        }
        self.request("eth_getTransactionReceipt", (transaction,)).await
    }

    /// Native money of an account (of more than fits in 128 bits, as much as fits).
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn balance(&self, account: Address, at: At) -> Result<AttoFil, RpcError> {
        let balance: U256 = self.request("eth_getBalance", (account, at.json())).await?;
        Ok(AttoFil(balance.saturating_to()))
    }

    /// How many of an account's transactions are in blocks up to `at`: its next nonce.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn count(&self, account: Address, at: At) -> Result<u64, RpcError> {
        self.request::<_, U64>("eth_getTransactionCount", (account, at.json())).await.map(|count| count.to())
    }

    /// The same with what waits in the node's pool.
    pub(in crate::evm) async fn pending_count(&self, account: Address) -> Result<u64, RpcError> {
        self.request::<_, U64>("eth_getTransactionCount", (account, "pending")).await.map(|count| count.to())
    }

    pub(super) async fn advised_tip(&self) -> Result<U256, RpcError> {
        self.request("eth_maxPriorityFeePerGas", ()).await
    }

    /// What the node advises to pay for a unit of gas now, in attoFIL.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn gas_price(&self) -> Result<U256, RpcError> {
        self.request("eth_gasPrice", ()).await
    }

    /// The gas that the node thinks a call takes.
    ///
    /// # Errors
    /// [`RpcError`]; [`RpcError::Refused`] holds what the contract reverted with.
    pub async fn estimate(&self, call: &CallRequest) -> Result<u64, RpcError> {
        self.request::<_, U64>("eth_estimateGas", (call.json(),)).await.map(|gas| gas.to())
    }

    /// What a call returns, tried out on the state after a block.
    ///
    /// # Errors
    /// [`RpcError`]; [`RpcError::Refused`] holds what the contract reverted with.
    pub async fn call(&self, call: &CallRequest, at: At) -> Result<Bytes, RpcError> {
        self.request("eth_call", (call.json(), at.json())).await
    }

    /// What a contract's view returns.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn view(&self, contract: Address, data: &Bytes, at: At) -> Result<Bytes, RpcError> {
        let call: Value = json!({ "to": contract, "data": data });
        self.request("eth_call", (call, at.json())).await
    }

    pub(in crate::evm) async fn send_raw(&self, raw: &Bytes) -> Result<B256, RpcError> {
        self.inner.endpoints.send_raw(raw).await
    }
}

/// What a node means by its answer about a number.
pub(super) fn height_of(number: u64, answer: Result<Option<Header>, RpcError>) -> Result<Height, RpcError> {
    match answer {
        Err(RpcError::Refused(refusal)) if refusal.code == 12 || refusal.message.contains("null round") => {
            Ok(Height::Empty)
        }
        Err(RpcError::Refused(refusal)) if refusal.message.contains("future epoch") => Ok(Height::Beyond),
        Ok(Some(header)) if header.number() == number => Ok(Height::Block(header)),
        // Some nodes answer an epoch without blocks with the one before it.
        Ok(Some(_)) => Ok(Height::Empty),
        Ok(None) => Ok(Height::Beyond),
        Err(error) => Err(error),
    }
}
