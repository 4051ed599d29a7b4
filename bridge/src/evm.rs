//! EVM chains: Filecoin's FEVM, Ethereum's relatives, development chains; and a market on one of them.
//!
//! Four layers, each public: [`chain`] is JSON-RPC of one chain, [`account`] one key's transactions on it, for any call, [`log`] a
//! reorganisation-safe log of several contracts, and [`market`] turns commands into calls and logs into events: the
//! [`Transport`](crate::Transport) to a Lota market. Whoever speaks to other contracts uses the first three;
//! [`warm_storage`] is one of them: Filecoin's storage service, as its payers need it; [`possession`] reads what proofs say of pieces, and
//! [`curio`] is the market contract of deals with Curio.

pub mod account;
pub mod auction;
pub mod blessing;
pub mod chain;
pub mod curio;
pub mod filecoin_pay;
pub mod filecoin_pay_deals;
pub mod granters;
pub mod log;
pub mod market;
pub mod possession;
pub mod recording;
pub mod warm_storage;

pub use account::{Account, Call, SendError};
pub use auction::Auction;
pub use blessing::{contract::Blessing, transport::EvmBlessing};
pub use chain::{CLASSIC_FINALITY, Chain, Config, Fees, Finality, MAX_RANGE, MAX_RESULTS, Network, RpcError};
pub use filecoin_pay_deals::contract::FilecoinPayDeals;
pub use granters::Granter;
pub use log::{EventLog, LogError, Source, Update as LogUpdate};
pub use market::{EvmTransport, Market, bindings, token};
