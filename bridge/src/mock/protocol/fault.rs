//! Errors: in JSON-RPC, and as transports have them.

use lota_market::{Address, AttoFil, agent::EffectKey, auction, model};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::transport::{SubmitError, TransportError};

/// Why something was not done: the `error` of JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorObject {
    pub code: i64,
    /// In words.
    pub message: String,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<Fault>>,
}

/// Which contract's error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractName {
    Market,
    Auction,
}

/// What was wrong, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// A contract refuses.
    Rejected {
        /// Which was called.
        contract: ContractName,
        /// Which declares the error: the auction may say what the market answered it.
        declared_by: ContractName,
        /// The error's name in its interface.
        error: String,
        /// The first four bytes of the hash of its signature, in hex.
        selector: String,
        /// Its arguments: none, the only one, or all by name.
        arguments: Value,
        /// The block in whose state it was refused.
        block: Option<u64>,
    },
    /// See [`SubmitError::KeyReused`].
    KeyReused { party: Address, key: EffectKey },
    /// See [`SubmitError::Unaffordable`].
    Unaffordable { account: Address, wallet: AttoFil, needed: AttoFil },
    /// See [`SubmitError::NotPayable`].
    NotPayable { value: AttoFil },
    /// See [`SubmitError::TooLarge`].
    TooLarge { problem: String },
    /// See [`SubmitError::WrongSigner`].
    WrongSigner {
        /** Who is said to send. */
        sender: Address,
        problem: String,
    },
    /// See [`SubmitError::Failed`].
    Failed { problem: String },
    /// The log cannot be read or written: nothing was done.
    Storage { problem: String },
    /// There is no auction.
    NoAuction,
    /// This server does not do that.
    NotAllowed,
    /// A limit of the connection is reached.
    TooMany,
}

/// The most characters of what is told of a request that cannot be read.
const MAX_PROBLEM: usize = 500;
/// "Execution reverted", as nodes of Ethereum say it.
pub const REVERTED: i64 = 3;
/// JSON-RPC: no JSON.
pub const PARSE_ERROR: i64 = -32_700;
/// JSON-RPC: no request.
pub const INVALID_REQUEST: i64 = -32_600;
/// JSON-RPC: no such method.
pub const UNKNOWN_METHOD: i64 = -32_601;
/// JSON-RPC: not what the method takes.
pub const INVALID_PARAMS: i64 = -32_602;
/// Everything else.
pub const SERVER_ERROR: i64 = -32_000;

impl ErrorObject {
    /// Without data.
    pub fn plain(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Something in a request cannot be read. The words about it may repeat what is in there: they are cut.
    pub fn unreadable(code: i64, what: &str, error: &serde_json::Error) -> Self {
        let problem = error.to_string();
        let shown: String = problem.chars().take(MAX_PROBLEM).collect();
        let rest = if shown.len() < problem.len() { " …" } else { "" };
        Self::plain(code, format!("{what}: {shown}{rest}"))
    }

    fn with(message: String, data: Fault) -> Self {
        let code = if matches!(data, Fault::Rejected { .. }) { REVERTED } else { SERVER_ERROR };
        Self { code, message, data: Some(Box::new(data)) }
    }

    /// This server does not do that.
    pub fn not_allowed(message: &str) -> Self {
        Self::with(message.to_owned(), Fault::NotAllowed)
    }

    /// A limit of the connection is reached.
    pub fn too_many(message: String) -> Self {
        Self::with(message, Fault::TooMany)
    }

    /// What it means to whoever submitted a command.
    #[must_use]
    pub fn into_submit_error(self) -> SubmitError {
        let Self { message, data, .. } = self;
        match data.map(|data| *data) {
            Some(Fault::Rejected { contract, declared_by, error, arguments, block, .. }) => {
                rejection_from(contract, declared_by, &error, arguments, block)
                    .unwrap_or_else(|| TransportError::Malformed(format!("an unknown refusal: {message}")).into())
            }
            Some(Fault::KeyReused { party, key }) => SubmitError::KeyReused { party, key },
            Some(Fault::Unaffordable { account, wallet, needed }) => {
                SubmitError::Unaffordable { account, wallet, needed }
            }
            Some(Fault::NotPayable { value }) => SubmitError::NotPayable { value },
            Some(Fault::TooLarge { problem }) => SubmitError::TooLarge(problem),
            Some(Fault::WrongSigner { sender, problem }) => SubmitError::WrongSigner { sender, problem },
            Some(Fault::Failed { problem }) => SubmitError::Failed(problem),
            Some(Fault::NoAuction) => TransportError::NoAuction.into(),
            // It goes on when there is space again.
            Some(Fault::Storage { .. } | Fault::TooMany) => TransportError::Unavailable(message).into(),
            Some(Fault::NotAllowed) | None => SubmitError::Failed(message),
        }
    }

    /// What it means to whoever asked something.
    #[must_use]
    pub fn into_transport_error(self) -> TransportError {
        match self.into_submit_error() {
            SubmitError::Transport(error) => error,
            other => TransportError::Malformed(other.to_string()),
        }
    }
}

impl From<SubmitError> for ErrorObject {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        let data = match error {
            SubmitError::Rejected { rejection, block } => {
                rejected(ContractName::Market, ContractName::Market, &rejection, rejection.selector(), block)
            }
            SubmitError::RejectedByAuction { rejection: auction::Rejection::Market(rejection), block } => {
                rejected(ContractName::Auction, ContractName::Market, &rejection, rejection.selector(), block)
            }
            SubmitError::RejectedByAuction { rejection, block } => {
                rejected(ContractName::Auction, ContractName::Auction, &rejection, rejection.selector(), block)
            }
            SubmitError::KeyReused { party, key } => Fault::KeyReused { party, key },
            SubmitError::Unaffordable { account, wallet, needed } => Fault::Unaffordable { account, wallet, needed },
            SubmitError::NotPayable { value } => Fault::NotPayable { value },
            SubmitError::TooLarge(problem) => Fault::TooLarge { problem },
            SubmitError::WrongSigner { sender, problem } => Fault::WrongSigner { sender, problem },
            SubmitError::Failed(problem) => Fault::Failed { problem },
            SubmitError::Transport(TransportError::NoAuction) => Fault::NoAuction,
            SubmitError::Transport(error) => Fault::Storage { problem: error.to_string() },
            // What only chains say.
            SubmitError::CallbackFailed { .. }
            | SubmitError::TakeFailed { .. }
            | SubmitError::TooMuchGas { .. }
            | SubmitError::RejectedByFilecoinPayDeals { .. } => Fault::Failed { problem: message.clone() },
        };
        Self::with(message, data)
    }
}

impl From<TransportError> for ErrorObject {
    fn from(error: TransportError) -> Self {
        SubmitError::from(error).into()
    }
}

/// `WrongState` of `wrong_state`.
fn camel(snake: &str) -> String {
    snake
        .split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}

/// `wrong_state` of `WrongState`.
fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn rejected(
    contract: ContractName,
    declared_by: ContractName,
    rejection: &impl Serialize,
    selector: [u8; 4],
    block: Option<u64>,
) -> Fault {
    let (name, arguments) = match serde_json::to_value(rejection).unwrap_or_default() {
        Value::Object(fields) => fields.into_iter().next().unwrap_or_default(),
        Value::String(name) => (name, Value::Null),
        _ => Default::default(),
    };
    let selector = format!("0x{:08x}", u32::from_be_bytes(selector));
    Fault::Rejected { contract, declared_by, error: camel(&name), selector, arguments, block }
}

fn rejection_from(
    contract: ContractName,
    declared_by: ContractName,
    error: &str,
    arguments: Value,
    block: Option<u64>,
) -> Option<SubmitError> {
    fn read<T: DeserializeOwned>(error: &str, arguments: Value) -> Option<T> {
        let name = snake(error);
        let whole = if arguments.is_null() { Value::String(name) } else { json!({ name: arguments }) };
        serde_json::from_value(whole).ok()
    }
    Some(match (contract, declared_by) {
        (ContractName::Market, ContractName::Market) => {
            SubmitError::Rejected { rejection: read::<model::Rejection>(error, arguments)?, block }
        }
        (ContractName::Auction, ContractName::Market) => {
            SubmitError::RejectedByAuction { rejection: auction::Rejection::Market(read(error, arguments)?), block }
        }
        (ContractName::Auction, ContractName::Auction) => {
            SubmitError::RejectedByAuction { rejection: read(error, arguments)?, block }
        }
        (ContractName::Market, ContractName::Auction) => return None,
    })
}
