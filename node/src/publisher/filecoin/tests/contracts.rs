//! The chain of a [`Place`](super::place::Place): what the contracts do and say, and the node that tells of it.

use alloy::{primitives::keccak256, sol_types::SolCall as _};
use axum::body::Bytes;
use lota_market::{Address, B256, Bytes as Data, U256};
use serde_json::{Value, json};

use super::place::{
    ADD, CHAIN_ID, CID, CREATE, DataSet, ENTRY, Inner, Mining, Operation, PAYEE, PIECE, SERVICE, text, word,
};

const VIEW: Address = Address::repeat_byte(0x53);
const PAYMENTS: Address = Address::repeat_byte(0x54);
const REGISTRY: Address = Address::repeat_byte(0x55);
const VERIFIER: Address = Address::repeat_byte(0x57);
const TOKEN: Address = Address::repeat_byte(0x56);

mod abi {
    alloy::sol! {
        function viewContractAddress() external view returns (address);
        function paymentsContractAddress() external view returns (address);
        function sessionKeyRegistry() external view returns (address);
        function pdpVerifierAddress() external view returns (address);
        function dataSetLive(uint256 setId) external view returns (bool);
        function pieceLive(uint256 setId, uint256 pieceId) external view returns (bool);
        function getScheduledRemovals(uint256 setId) external view returns (uint256[]);
        function clientNonces(address payer, uint256 nonce) external view returns (uint256);
        function getDataSet(uint256 dataSetId) external view returns (uint256[13]);
        function getPriceList() external view returns (address, uint256[4], uint256[5], uint256[6]);
        function accounts(address token, address owner) external view returns (uint256, uint256, uint256, uint256);
        function operatorApprovals(address token, address client, address operator) external view
            returns (bool, uint256, uint256, uint256, uint256, uint256);
        function authorizationExpiry(address user, address signer, bytes32 permission) external view returns (uint256);
    }
}

impl Inner {
    /// What the service's contract does.
    fn execute(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Create { id, then } => {
                if self.nonces.contains_key(id) {
                    return false;
                }
                let data_set = self.data_sets.len() as u64 + 1;
                let Operation::Add { nonce, piece, root, .. } = &**then else { return false };
                let add = Operation::Add { data_set: Some(data_set), nonce: *nonce, piece: *piece, root: root.clone() };
                self.data_sets.insert(data_set, DataSet { number: *id, ..DataSet::default() });
                if !self.execute(&add) {
                    self.data_sets.remove(&data_set);
                    return false;
                }
                self.nonces.insert(*id, U256::from(data_set));
                true
            }
            Operation::Add { data_set, nonce, piece, root } => {
                let Some(id) = data_set else { return false };
                let Some(set) = self.data_sets.get_mut(id) else { return false };
                if self.nonces.contains_key(nonce) || set.end.is_some() || set.is_deleted {
                    return false;
                }
                set.pieces.push(Some((*piece, root.clone())));
                self.nonces.insert(*nonce, (U256::from(set.pieces.len()) << 128) | U256::from(*id));
                true
            }
        }
    }

    fn live(&self, data_set: U256) -> Option<&DataSet> {
        self.data_sets.get(&data_set.to::<u64>()).filter(|set| !set.is_deleted)
    }

    fn mine(&mut self) {
        if matches!(self.mining, Mining::Soon | Mining::Reverting) {
            for (hash, operation) in std::mem::take(&mut self.pending) {
                let ok = self.mining == Mining::Soon && self.execute(&operation);
                self.done.insert(hash, ok);
            }
        }
        if self.is_final_at_once {
            self.final_nonces = self.nonces.clone();
        }
    }

    pub(super) fn rpc(&mut self, body: &Bytes) -> Value {
        let request: Value = serde_json::from_slice(body).expect("JSON");
        let params = &request["params"];
        let result = match request["method"].as_str().expect("a method") {
            "eth_chainId" => json!(format!("{CHAIN_ID:#x}")),
            "eth_getBlockByNumber" => {
                let number = match params[0].as_str().expect("a block") {
                    "latest" => {
                        self.height += 1;
                        self.height
                    }
                    "finalized" => self.height - 5,
                    number => u64::from_str_radix(number.trim_start_matches("0x"), 16).expect("a number"),
                };
                json!({
                    "number": format!("{number:#x}"),
                    "hash": keccak256(number.to_be_bytes()),
                    "parentHash": keccak256((number - 1).to_be_bytes()),
                    "timestamp": format!("{:#x}", 1_700_000_000 + 30 * number),
                })
            }
            "eth_call" => match self.call(&params[0], params[1].as_str() == Some("latest")) {
                Ok(data) => json!(data),
                Err(problem) => {
                    self.violations.push(problem.clone());
                    let error = json!({ "code": -32_000, "message": problem });
                    return json!({ "jsonrpc": "2.0", "id": request["id"], "error": error });
                }
            },
            other => panic!("{other} is not asked of a chain that is only read"),
        };
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
    }

    /// The contracts' views; the words that they return are written by hand.
    fn call(&mut self, call: &Value, is_latest: bool) -> Result<Data, String> {
        self.mine();
        let to: Address = text(call, "to")?.parse().map_err(|_| "no address")?;
        let data: Data = text(call, "data")?.parse().map_err(|_| "no hex")?;
        let wrong = |error: alloy::sol_types::Error| error.to_string();
        let selector: [u8; 4] = data.get(..4).and_then(|data| data.try_into().ok()).ok_or("no selector")?;
        let numbers = |numbers: &[u64]| numbers.iter().map(|number| word(U256::from(*number))).collect::<Vec<_>>();
        let words = match (to, selector) {
            (SERVICE, abi::viewContractAddressCall::SELECTOR) => vec![VIEW.into_word()],
            (SERVICE, abi::paymentsContractAddressCall::SELECTOR) => vec![PAYMENTS.into_word()],
            (SERVICE, abi::sessionKeyRegistryCall::SELECTOR) => vec![REGISTRY.into_word()],
            (SERVICE, abi::pdpVerifierAddressCall::SELECTOR) => vec![VERIFIER.into_word()],
            (VERIFIER, abi::dataSetLiveCall::SELECTOR) => {
                let call = abi::dataSetLiveCall::abi_decode_validate(&data).map_err(wrong)?;
                numbers(&[u64::from(self.live(call.setId).is_some())])
            }
            (VERIFIER, abi::pieceLiveCall::SELECTOR) => {
                let call = abi::pieceLiveCall::abi_decode_validate(&data).map_err(wrong)?;
                let pieces = self.live(call.setId).map(|set| &set.pieces[..]).unwrap_or_default();
                numbers(&[u64::from(pieces.get(call.pieceId.to::<usize>()).is_some_and(Option::is_some))])
            }
            (VERIFIER, abi::getScheduledRemovalsCall::SELECTOR) => {
                let call = abi::getScheduledRemovalsCall::abi_decode_validate(&data).map_err(wrong)?;
                let set = call.setId.to::<u64>();
                if self.live(call.setId).is_none() {
                    return Err("DataSetNotLive".to_owned());
                }
                let ids: Vec<u64> = self.scheduled.iter().filter(|(of, _)| *of == set).map(|(_, id)| *id).collect();
                numbers(&[&[32, ids.len() as u64], &ids[..]].concat())
            }
            (VIEW, abi::getDataSetCall::SELECTOR) => {
                let call = abi::getDataSetCall::abi_decode_validate(&data).map_err(wrong)?;
                let mut words = vec![B256::ZERO; 12];
                if let Some(set) = self.live(call.dataSetId) {
                    (words[0], words[3], words[4]) = (word(call.dataSetId), self.payer.into_word(), PAYEE.into_word());
                    (words[7], words[8]) = (word(set.number), word(U256::from(set.end.unwrap_or_default())));
                }
                words.push(word(call.dataSetId));
                words
            }
            (VIEW, abi::clientNoncesCall::SELECTOR) => {
                let call = abi::clientNoncesCall::abi_decode_validate(&data).map_err(wrong)?;
                if call.payer != self.payer {
                    return Err(format!("nonces of {}", call.payer));
                }
                let nonces = if is_latest { &self.nonces } else { &self.final_nonces };
                vec![word(nonces.get(&call.nonce).copied().unwrap_or_default())]
            }
            (VIEW, abi::getPriceListCall::SELECTOR) => {
                let mut words = vec![TOKEN.into_word()];
                words.extend(numbers(&[1 << 20, 86_400, 0, 0]));
                words.extend(numbers(&[1_000, 10, 5, 1, 1]));
                words.extend(numbers(&[500, 0, 86_400, 0, 0, 0]));
                words
            }
            (PAYMENTS, abi::operatorApprovalsCall::SELECTOR) => {
                let call = abi::operatorApprovalsCall::abi_decode_validate(&data).map_err(wrong)?;
                if (call.token, call.client, call.operator) != (TOKEN, self.payer, SERVICE) {
                    return Err("another approval".to_owned());
                }
                let most = word(U256::MAX);
                let mut words = numbers(&[u64::from(self.is_approved)]);
                words.extend([most, most]);
                words.extend(numbers(&[0, 0, self.lockup_period]));
                words
            }
            (PAYMENTS, abi::accountsCall::SELECTOR) => {
                let call = abi::accountsCall::abi_decode_validate(&data).map_err(wrong)?;
                if (call.token, call.owner) != (TOKEN, self.payer) {
                    return Err("another account".to_owned());
                }
                // 3 are locked, and 2 more each epoch since 10 epochs ago.
                numbers(&[self.funds, 3, 2, self.height - 10])
            }
            (REGISTRY, abi::authorizationExpiryCall::SELECTOR) => {
                let call = abi::authorizationExpiryCall::abi_decode_validate(&data).map_err(wrong)?;
                let known = [keccak256([CREATE, ENTRY].concat()), keccak256([ADD, CID, ENTRY, PIECE].concat())];
                if (call.user, call.signer) != (self.payer, self.signer) || !known.contains(&call.permission) {
                    return Err("another permission".to_owned());
                }
                numbers(&[self.authorised_until])
            }
            _ => return Err(format!("{to} has no function {selector:02x?}")),
        };
        Ok(words.concat().into())
    }
}
