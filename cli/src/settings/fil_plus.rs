//! The FIL+ registry.

use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, Count, Seconds};

/// The FIL+ registry that `lota fil-plus serve` serves, and where `lota fil-plus check` asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FilPlus {
    /// URL of the registry that is asked; none: the one at `listen`.
    pub(crate) server: Option<String>,
    /// Where it listens.
    pub(crate) listen: String,
    /// How old the chain's word may be that something is verified by.
    pub(crate) max_age: Seconds,
    /// Folder of its database; none: `fil-plus` in the home.
    pub(crate) data: Option<String>,
    /// The most that its database takes.
    pub(crate) max_size: ByteSize,
    /// Chain nodes: URLs with commas between; none: nothing can be verified.
    pub(crate) rpc: Option<String>,
    /// `all`, or ids of actors with commas between.
    pub(crate) providers: String,
    /// The same.
    pub(crate) clients: String,
    /// How long after a whole reading the next one begins.
    pub(crate) refresh: Seconds,
    /// Whether events are read, too.
    pub(crate) events: bool,
    /// The epoch that they are read from; none: a day before what is final at first.
    pub(crate) from_epoch: Option<Count>,
    /// After how many epochs a tipset is final; none: what the chain's node says.
    pub(crate) final_epochs: Option<Count>,
    /// Indexes: URLs with commas between.
    pub(crate) ipni: Option<String>,
    /// Signed lists: paths or URLs with commas between.
    pub(crate) lists: Option<String>,
    /// Keys that sign them, with commas between.
    pub(crate) list_keys: Option<String>,
}

impl Default for FilPlus {
    fn default() -> Self {
        Self {
            server: None,
            listen: "127.0.0.1:8647".to_owned(),
            max_age: Seconds(lota_fil_plus::answer::MAX_AGE),
            data: None,
            max_size: ByteSize(lota_fil_plus::store::MAX_SIZE),
            rpc: None,
            providers: "all".to_owned(),
            clients: "all".to_owned(),
            refresh: Seconds(86_400),
            events: true,
            from_epoch: None,
            final_epochs: None,
            ipni: None,
            lists: None,
            list_keys: None,
        }
    }
}
