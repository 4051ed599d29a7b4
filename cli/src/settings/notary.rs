//! A notary's service.

use serde::{Deserialize, Serialize};

use crate::units::{Amount, ByteSize, Count, Seconds};

/// What `lota notary serve` does. Lists are texts with commas between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notary {
    /// Where its page is served.
    pub(crate) listen: String,
    /// Where browsers reach it; none: at `listen`, without TLS.
    pub(crate) origin: Option<String>,
    /// Folder of its data; none: `notary` in the home.
    pub(crate) data: Option<String>,
    /// The most that its databases take together.
    pub(crate) max_size: ByteSize,
    pub(crate) rpc: Option<String>,
    pub(crate) network: Option<String>,
    /// The market's address.
    pub(crate) contract: Option<String>,
    pub(crate) blessing: Option<String>,
    pub(crate) from_block: Count,
    /// A name in the keystore.
    pub(crate) key: Option<String>,
    /// URL of the registry that is asked about inputs; none: they stay unknown.
    pub(crate) registry: Option<String>,
    pub(crate) gateways: Option<String>,
    /// Whether WASM jobs are run again here.
    pub(crate) run_again: bool,
    /// The address of a PossessionRecord.
    pub(crate) possession_record: Option<String>,
    /// The address of Filecoin's warm storage service.
    pub(crate) warm_storage: Option<String>,
    /// Whose data sets there are looked at: addresses.
    pub(crate) storage_payers: Option<String>,
    /// `address=name/unit/decimals`.
    pub(crate) granters: Option<String>,
    /// For whom jobs are nominated; none: nothing is nominated by itself.
    pub(crate) granter: Option<String>,
    /// In the granter's smallest unit.
    pub(crate) amount: Option<String>,
    /// Instead of that.
    pub(crate) amount_per_byte: Option<String>,
    /// What is added to the client's share.
    pub(crate) bounty: Option<Amount>,
    /// `low`, `medium` or `high`.
    pub(crate) most_risk: String,
    pub(crate) per_day: Count,
    /// In the granter's smallest unit, also `granter=amount`; none: each vote is sent at once.
    pub(crate) two_approvals_from: Option<String>,
    /// Whether it calls for the payments that grants over Filecoin Pay leave.
    pub(crate) pay: bool,
    /// How long one waits for others.
    pub(crate) pay_after: Seconds,
    /// URL of another notary's server, which is asked for what these granters grant.
    pub(crate) other_notary: Option<String>,
    /// Whose answers count: did:key.
    pub(crate) other_notary_keys: Option<String>,
    pub(crate) other_notary_for: Option<String>,
    pub(crate) other_notary_within: Seconds,
    /// `notaries`, `everybody`, or accounts.
    pub(crate) readers: String,
    /// Addresses of proxies whose `X-Forwarded-For` or `Forwarded` is believed.
    pub(crate) trusted_proxy: Option<String>,
    /// Whether the JSON API is served, which asks for no sign-in.
    pub(crate) serve_api: bool,
    pub(crate) webhook: Option<String>,
    /// A file.
    pub(crate) webhook_secrets: Option<String>,
    pub(crate) smtp: Option<String>,
    pub(crate) smtp_user: Option<String>,
    /// A file.
    pub(crate) smtp_password: Option<String>,
    pub(crate) mail_from: Option<String>,
    pub(crate) mail_to: Option<String>,
}

impl Default for Notary {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8649".to_owned(),
            origin: None,
            data: None,
            max_size: ByteSize(lota_notary::service::MAX_SIZE),
            rpc: None,
            network: None,
            contract: None,
            blessing: None,
            from_block: Count(0),
            key: None,
            registry: None,
            gateways: None,
            run_again: true,
            possession_record: None,
            warm_storage: None,
            storage_payers: None,
            granters: None,
            granter: None,
            amount: None,
            amount_per_byte: None,
            bounty: None,
            most_risk: "medium".to_owned(),
            per_day: Count(100),
            two_approvals_from: None,
            pay: true,
            pay_after: Seconds(300),
            other_notary: None,
            other_notary_keys: None,
            other_notary_for: None,
            other_notary_within: Seconds(14 * 86_400),
            readers: "notaries".to_owned(),
            trusted_proxy: None,
            serve_api: false,
            webhook: None,
            webhook_secrets: None,
            smtp: None,
            smtp_user: None,
            smtp_password: None,
            mail_from: None,
            mail_to: None,
        }
    }
}
