//! Filecoin's storage, as far as contracts tell of it: proofs of possession, and deals with Curio.

use alloy::{
    primitives::U256,
    sol_types::{SolCall, SolConstructor},
};
use lota_bridge::evm::{
    Chain, Config, Network, RpcError,
    chain::At,
    curio::{self, Client, ClientError, CurioMarket, Proposal, Stage, masked_id},
    possession::{
        self, LastProof, PieceName, PossessionRecord, Possessions, Schedule, WarmStorageProofs, overdue_periods,
    },
};
use lota_market::{Address, B256, Bytes};
use serde_json::{Value, json};

use crate::{
    anvil::{Anvil, number},
    harness::signer,
};

macro_rules! contract {
    ($module:ident, $name:ident, $file:literal) => {
        mod $module {
            #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
            alloy::sol!($name, $file);
        }
    };
}

contract!(pdp, TestPdpVerifier, "../contracts/abi/TestPdpVerifier.json");
contract!(warm, TestWarmStorage, "../contracts/abi/TestWarmStorage.json");
contract!(recording, PossessionRecord, "../contracts/abi/PossessionRecord.json");
contract!(deals, CurioMarket, "../contracts/abi/CurioMarket.json");

use deals::CurioMarket as market;
use pdp::{IPdpListener, TestPdpVerifier as verifier};
use recording::PossessionRecord as kept;
use warm::TestWarmStorage as service;

const PERIOD: u64 = 100;
const WINDOW: u64 = 20;
const PAYER: Address = Address::repeat_byte(0x99);

/// A chain with PDPVerifier's stand-in, a record and the warm storage service's stand-in.
struct Storage {
    anvil: Anvil,
    chain: Chain,
    verifier: Address,
    record: Address,
    service: Address,
    provider: Address,
}

fn piece(number: u8) -> PieceName {
    piece_of_height(number, 5)
}

fn piece_of_height(number: u8, height: u8) -> PieceName {
    let root = B256::repeat_byte(number & 0x3f);
    // FRC-0069: no padding.
    let cid = [&[0x01, 0x55, 0x91, 0x20, 34, 0, height][..], root.as_slice()].concat();
    PieceName { root, cid: cid.into() }
}

impl Storage {
    async fn begin() -> Self {
        let anvil = Anvil::spawn().await;
        let accounts = anvil.call("eth_accounts", json!([])).await;
        let provider = serde_json::from_value(accounts[0].clone()).expect("an account");
        let config = Config::new(&Network::FILECOIN_LOCAL, anvil.http_url());
        let chain = Chain::connect(config).await.expect("it answers");
        let fixed = verifier::constructorCall { challengeFinality: U256::from(2) };
        let verifier = anvil.deploy(&[verifier::BYTECODE.as_ref(), &fixed.abi_encode()].concat()).await;
        let schedule = Schedule { period: PERIOD, window: WINDOW, challenges: 5 };
        let record = anvil.deploy(&possession::deployment(verifier, schedule)).await;
        let fixed = service::constructorCall { verifier, period: PERIOD, window: WINDOW };
        let service = anvil.deploy(&[service::BYTECODE.as_ref(), &fixed.abi_encode()].concat()).await;
        Self { anvil, chain, verifier, record, service, provider }
    }

    /// Sends a call of the provider's; its receipt.
    async fn send(&self, to: Address, call: impl SolCall) -> Value {
        let data = Bytes::from(call.abi_encode());
        let sent = json!([{ "from": self.provider, "to": to, "data": data, "gas": "0x1000000" }]);
        let hash = self.anvil.call("eth_sendTransaction", sent).await;
        loop {
            let receipt = self.anvil.call("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                assert_eq!(receipt["status"], "0x1", "{receipt}");
                return receipt;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn create(&self, listener: Address, extra: &[u8]) {
        let extra = Bytes::copy_from_slice(extra);
        self.send(self.verifier, verifier::createDataSetCall { listener, extraData: extra }).await;
    }

    async fn add(&self, data_set: u64, piece: &PieceName) {
        let piece_data = vec![IPdpListener::Cid { data: piece.cid.clone() }];
        let call = verifier::addPiecesCall {
            setId: U256::from(data_set),
            listener: Address::ZERO,
            pieceData: piece_data,
            extraData: Bytes::new(),
        };
        self.send(self.verifier, call).await;
    }

    /// Opens a period, in whose window the challenges come.
    async fn open(&self, data_set: u64, epoch: u64) {
        let call = verifier::nextProvingPeriodCall {
            setId: U256::from(data_set),
            challengeEpoch: U256::from(epoch),
            extraData: Bytes::new(),
        };
        self.send(self.verifier, call).await;
    }

    /// Proves in the block behind `epoch - 1`; in which one it was.
    async fn prove(&self, data_set: u64, epoch: u64) -> u64 {
        self.go_to(epoch - 1).await;
        let mut leaf = B256::ZERO;
        leaf[..5].copy_from_slice(b"proof");
        let proof = verifier::Proof { leaf, proof: vec![] };
        let call = verifier::provePossessionCall { setId: U256::from(data_set), proofs: vec![proof; 5] };
        number(&self.send(self.verifier, call).await["blockNumber"])
    }

    async fn go_to(&self, epoch: u64) {
        let height = self.anvil.height().await;
        assert!(height <= epoch, "{height} is behind {epoch}");
        if height < epoch {
            self.anvil.mine(epoch - height).await;
        }
    }

    async fn record(&self) -> PossessionRecord {
        PossessionRecord::find(&self.chain, self.record).await.expect("it is there")
    }

    async fn proofs(&self) -> WarmStorageProofs {
        WarmStorageProofs::find(&self.chain, self.service).await.expect("it is there")
    }

    async fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let data = self.chain.view(to, &call.abi_encode().into(), At::Latest).await.expect("it answers");
        C::abi_decode_returns_validate(&data).expect("it is what the view returns")
    }
}

fn proven_at(found: &Possessions) -> Vec<(u64, Option<u64>)> {
    let epoch = |last| match last {
        LastProof::At { epoch, time } => {
            assert!(time.is_some(), "the node has the block");
            Some(epoch)
        }
        _ => None,
    };
    found.found.iter().map(|one| (one.data_set, epoch(one.last_proof))).collect()
}

#[tokio::test]
async fn a_record_tells_when_each_piece_was_proven() {
    let storage = Storage::begin().await;
    let record = storage.record().await;
    let (one, two) = (piece(1), piece(2));
    assert!(record.of(&one).await.expect("it answers").found.is_empty());
    storage.create(storage.record, &[]).await;
    storage.add(1, &one).await;
    let found = record.of(&one).await.expect("it answers");
    assert_eq!(proven_at(&found), [(1, None)], "that it was created proves nothing");
    assert_eq!((found.found[0].provider, found.found[0].deadline), (storage.provider, None));

    let first = storage.anvil.height().await + 1 + PERIOD;
    storage.open(1, first - WINDOW).await;
    storage.add(1, &two).await;
    let proven = storage.prove(1, first - 3).await;
    assert_eq!(proven_at(&record.of(&one).await.expect("it answers")), [(1, Some(proven))]);
    assert_eq!(proven_at(&record.of(&two).await.expect("it answers")), [(1, None)], "added since");
    storage.go_to(first).await;
    storage.open(1, first + PERIOD - WINDOW).await;
    let second = storage.prove(1, first + PERIOD - 1).await;
    assert_eq!(proven_at(&record.of(&two).await.expect("it answers")), [(1, Some(second))]);

    // The same piece elsewhere, never proven; and periods go by.
    storage.create(storage.record, &[]).await;
    storage.add(2, &two).await;
    storage.go_to(first + 3 * PERIOD + 1).await;
    let found = record.of(&two).await.expect("it answers");
    assert_eq!(proven_at(&found), [(1, Some(second)), (2, None)]);
    assert_eq!((found.found[0].overdue, found.found[0].deadline), (2, Some(first + PERIOD)));
    assert_eq!((found.found[1].overdue, found.unread), (0, 0));

    let deleted = verifier::deleteDataSetCall { setId: U256::from(1), extraData: Bytes::new() };
    storage.send(storage.verifier, deleted).await;
    assert_eq!(proven_at(&record.of(&two).await.expect("it answers")), [(2, None)]);
}

#[tokio::test]
async fn a_proof_of_the_upper_nodes_alone_is_no_proof_of_the_piece() {
    let storage = Storage::begin().await;
    let record = storage.record().await;
    let (whole, top) = (piece(1), piece_of_height(1, 2));
    assert_eq!(whole.root, top.root);
    storage.create(storage.record, &[]).await;
    storage.add(1, &top).await;
    let first = storage.anvil.height().await + 1 + PERIOD;
    storage.open(1, first - WINDOW).await;
    let proven = storage.prove(1, first - 3).await;
    assert!(record.of(&whole).await.expect("it answers").found.is_empty(), "128 bytes are stored there");
    assert_eq!(proven_at(&record.of(&top).await.expect("it answers")), [(1, Some(proven))], "and these are proven");
}

#[tokio::test]
async fn periods_are_overdue_as_the_contract_counts_them() {
    let storage = Storage::begin().await;
    storage.create(storage.record, &[]).await;
    storage.add(1, &piece(1)).await;
    let first = storage.anvil.height().await + 1 + PERIOD;
    storage.open(1, first).await;
    for is_proven in [false, true] {
        if is_proven {
            let start = kept::nextPDPChallengeWindowStartCall { dataSetId: U256::from(1) };
            let start = storage.view(storage.record, start).await.to::<u64>();
            storage.open(1, start + WINDOW).await;
            storage.prove(1, start + WINDOW).await;
        }
        for _ in 0..25 {
            let stored = kept::dataSetOfCall { dataSetId: U256::from(1) };
            let stored = storage.view(storage.record, stored).await;
            let counted = kept::overduePeriodsCall { dataSetId: U256::from(1) };
            let counted = storage.view(storage.record, counted).await;
            let now = storage.anvil.height().await;
            assert_eq!(
                overdue_periods(stored.deadline, stored.isProven, PERIOD, now),
                counted,
                "{now} of {}",
                stored.deadline
            );
            storage.anvil.mine(PERIOD / 7).await;
        }
    }
}

#[tokio::test]
async fn the_warm_storage_service_tells_of_its_payers_data_sets() {
    let storage = Storage::begin().await;
    let proofs = storage.proofs().await;
    let (one, two) = (piece(1), piece(2));
    storage.create(storage.service, PAYER.into_word().as_slice()).await;
    storage.add(1, &one).await;
    let find = |piece: PieceName| {
        let proofs = proofs.clone();
        async move { proofs.of(PAYER, &piece).await.expect("it answers") }
    };
    assert_eq!(proven_at(&find(one.clone()).await), [(1, None)], "that it was created proves nothing");
    assert!(find(two.clone()).await.found.is_empty());
    assert!(proofs.of(Address::repeat_byte(1), &one).await.expect("it answers").found.is_empty(), "another's");

    let first = storage.anvil.height().await + 1 + PERIOD;
    storage.open(1, first - WINDOW).await;
    storage.add(1, &two).await;
    let proven = storage.prove(1, first - 3).await;
    for _ in 0..2 {
        let found = find(one.clone()).await;
        assert_eq!(proven_at(&found), [(1, Some(proven))]);
        assert_eq!((found.found[0].provider, found.found[0].overdue), (storage.provider, 0));
        assert_eq!(proven_at(&find(two.clone()).await), [(1, None)], "added since, in the period or behind it");
        if storage.anvil.height().await < first {
            // The next period has begun: that the last one was proven is to be seen in the state of then alone.
            storage.go_to(first).await;
            storage.open(1, first + PERIOD - WINDOW).await;
        }
    }
    storage.go_to(first + 2 * PERIOD + 1).await;
    assert_eq!(find(one.clone()).await.found[0].overdue, 2);
    let deleted = verifier::deleteDataSetCall { setId: U256::from(1), extraData: PAYER.into_word().to_vec().into() };
    storage.send(storage.verifier, deleted).await;
    assert!(find(one).await.found.is_empty());
}

#[tokio::test]
async fn what_is_no_record_and_no_service_is_refused() {
    let storage = Storage::begin().await;
    let nowhere = Address::repeat_byte(7);
    for contract in [nowhere, storage.verifier] {
        assert!(PossessionRecord::find(&storage.chain, contract).await.is_err());
        assert!(WarmStorageProofs::find(&storage.chain, contract).await.is_err());
        assert!(CurioMarket::find(&storage.chain, contract).await.is_err());
    }
    let error = CurioMarket::find(&storage.chain, nowhere).await.expect_err("nobody");
    assert!(matches!(error, RpcError::Malformed(_)), "{error}");
}

#[tokio::test]
async fn a_deal_with_curio_is_announced_and_activated_by_its_miner_s_actor() {
    let storage = Storage::begin().await;
    let contract = storage.anvil.deploy(&curio::deployment(None)).await;
    let curio_market = CurioMarket::find(&storage.chain, contract).await.expect("it is there");
    let piece = piece(9);
    let proposal = Proposal {
        provider: 1_234,
        piece: piece.cid.clone(),
        start: None,
        duration: 518_400,
        allocation: None,
        open_until: 1_000,
    };
    let sent = json!([{ "from": storage.provider, "to": contract, "data": curio::announce(&proposal) }]);
    storage.anvil.call("eth_sendTransaction", sent).await;
    let height = storage.anvil.height().await;
    let logs = storage.chain.logs(&curio_market.announcements_of(piece.root), 0, height).await.expect("it answers");
    assert_eq!(logs.iter().filter_map(curio::announced).collect::<Vec<_>>(), [1]);
    assert!(
        storage.chain.logs(&curio_market.announcements_of(B256::ZERO), 0, height).await.expect("it answers").is_empty()
    );
    assert_eq!(curio_market.deal(2, At::Latest).await, Ok(None));
    let deal = curio_market.deal(1, At::Latest).await.expect("it answers").expect("it was announced");
    assert_eq!((deal.client, deal.provider, deal.root), (storage.provider, 1_234, piece.root));
    assert_eq!(deal.stage, Stage::Open);

    // As builtin-actors' miner encodes it (actors/miner/src/types.rs), by another library than the contract's.
    let cid = [&[0, 0x01, 0x81, 0xe2, 0x03, 0x92, 0x20, 0x20][..], piece.root.as_slice()].concat();
    let mut params = vec![0x81, 0x83, 7, 0x1a, 0x00, 0x0f, 0x42, 0x40, 0x81, 0x83, 0xd8, 0x2a, 0x58, 40];
    params.extend(cid);
    params.extend([0x19, 0x04, 0x00, 0x41]);
    params.extend(curio::notification_payload(1));
    let actor = masked_id(1_234);
    storage.anvil.call("anvil_impersonateAccount", json!([actor])).await;
    storage.anvil.set_balance(actor, 1 << 80).await;
    let call = market::handle_filecoin_methodCall { method: 2_034_386_435, codec: 0x51, params: params.into() };
    let data = Bytes::from(call.abi_encode());
    storage.anvil.call("eth_sendTransaction", json!([{ "from": actor, "to": contract, "data": data }])).await;
    let deal = curio_market.deal(1, At::Latest).await.expect("it answers").expect("it was announced");
    let since = storage.anvil.height().await;
    assert_eq!(deal.stage, Stage::Active { since, until: since + 518_400, sector: 7 });
}

#[tokio::test]
async fn a_client_finds_what_it_announced_and_takes_it_back() {
    let storage = Storage::begin().await;
    let contract = storage.anvil.deploy(&curio::deployment(None)).await;
    let (ours, other) = (signer("a client of Curio's"), signer("another"));
    for key in [&ours, &other] {
        storage.anvil.set_balance(key.address(), 1 << 80).await;
    }
    let client = Client::new(&storage.anvil.http_url(), contract, ours.clone());
    let piece = piece(3);
    assert_eq!(client.find(1_234, piece.root).await, Ok(None));
    assert_eq!(client.deal(1).await, Ok(None));
    let epoch = client.epoch().await.expect("it answers");
    let proposal = Proposal {
        provider: 1_234,
        piece: piece.cid.clone(),
        start: Some(epoch + 100),
        duration: 518_400,
        allocation: Some(7),
        open_until: epoch + 1_000,
    };
    assert_eq!(client.announce("one", &proposal).await, Ok(1));
    assert_eq!(client.announce("one", &proposal).await, Ok(1), "under the same name once");
    // Another process of the same client finds it; another client, provider or piece is something else.
    let again = Client::new(&storage.anvil.http_url(), contract, ours);
    assert_eq!(again.find(1_234, piece.root).await, Ok(Some(1)));
    assert_eq!(again.find(1_235, piece.root).await, Ok(None));
    assert_eq!(again.find(1_234, B256::ZERO).await, Ok(None));
    let another = Client::new(&storage.anvil.http_url(), contract, other);
    assert_eq!(another.find(1_234, piece.root).await, Ok(None));

    // Curio would be told that it is the client's.
    let asked = market::verifyDealCall {
        asked: deals::ICurioDealView::CurioDealView {
            dealId: U256::from(1),
            state: 0,
            providerActorId: U256::from(1_234),
            clientId: [&[4, 10][..], client.address().as_slice()].concat().into(),
            pieceCidV2: piece.cid.clone(),
            startEpoch: U256::from(epoch + 100),
            duration: U256::from(518_400),
            allocationId: U256::from(7),
            finalizedEpoch: U256::ZERO,
        },
    };
    assert!(storage.view(contract, asked.clone()).await);
    let (deal, _) = client.deal(1).await.expect("it answers").expect("announced");
    assert_eq!((deal.stage, deal.client), (Stage::Open, client.address()));
    storage.anvil.mine(1_010).await;
    let (deal, is_final) = client.deal(1).await.expect("it answers").expect("announced");
    assert!(is_final, "so many blocks are final everywhere");
    assert_eq!(deal.stage, Stage::Finalized, "nobody took it in time");
    assert!(!storage.view(contract, asked).await);
    assert_eq!(again.find(1_234, piece.root).await, Ok(None));

    let later = Proposal { open_until: epoch + 5_000, ..proposal };
    assert_eq!(client.announce("two", &later).await, Ok(2));
    assert!(another.withdraw(2).await.is_err(), "it is not its deal");
    client.withdraw(2).await.expect("it is open");
    let (deal, _) = client.deal(2).await.expect("it answers").expect("announced");
    assert_eq!(deal.stage, Stage::Finalized);
    let refused = client.announce("three", &Proposal { provider: 0, ..later }).await.expect_err("no provider");
    assert!(matches!(refused, ClientError::Send(_)), "{refused}");
}
