//! From settings to a service.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Weak},
};

use anyhow::Context as _;
use ed25519_dalek::{SigningKey, VerifyingKey};
use lota_bridge::{
    BlessingRef, Journal, PrivateKeySigner, Transport,
    blessing::BlessingTransport as _,
    evm::{
        self, Blessing, Chain, EvmBlessing, EvmTransport,
        possession::{PossessionRecord, WarmStorageProofs},
    },
};
use lota_content::fetch::{FetchOptions, Fetcher};
use lota_market::{Address, AttoFil, U256, asset::Asset};
use lota_node::store::NodeJournal;
use lota_notary::{
    alerts::{
        Deliver,
        smtp::{Security, Smtp, SmtpSettings},
        webhook::{Secret, Webhook},
    },
    attestation,
    availability::{Proofs, Witness},
    elsewhere::{
        network::{Availability, NetworkSources},
        outputs::{OutputLimits, Outputs},
        re_execution::{ReExecutionLimits, ReExecutor},
        registry::Registry,
    },
    history::History,
    other_notary::{ANSWERS_PATH, AskOnGrant, AskSettings, Dossiers, OtherNotary, SetupError},
    outgoing,
    payments::{Payer, RailPayer},
    review::Risk,
    service::{Amount, GranterName, NominationPolicy, Parts, Service, Settings, SettingsError},
};

use crate::{
    chain::{ChainMarket, Endpoint, parse_network},
    failure::Usage,
    home,
    host::{Engines, RunAgain},
    settings::Notary,
    terminal::printable,
};

/// The parts of a text with commas between.
pub(super) fn parts(text: Option<&String>) -> impl Iterator<Item = &str> {
    text.map_or("", String::as_str).split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn wrong(setting: &str, text: &str, expected: &str) -> Usage {
    Usage(format!("notary.{setting}: `{}` is not {expected}", printable(text)))
}

pub(super) fn address(setting: &str, text: &str) -> Result<Address, Usage> {
    text.trim().parse().map_err(|_| wrong(setting, text, "an address; write 0x and 40 hex digits"))
}

/// Settings without which there is no service, and that flags name, too.
const FLAGS: [&str; 3] = ["rpc", "contract", "blessing"];

fn needed<'a>(setting: &str, value: Option<&'a String>) -> Result<&'a String, Usage> {
    value.ok_or_else(|| {
        let flag = if FLAGS.contains(&setting) { format!("with --{setting}, ") } else { String::new() };
        let variable = setting.to_ascii_uppercase();
        Usage(format!(
            "notary.{setting} is missing; name it {flag}in [notary] of config.toml, or as LOTA_NOTARY_{variable}"
        ))
    })
}

fn number(setting: &str, text: &str) -> Result<U256, Usage> {
    let digits: String = text.trim().chars().filter(|c| *c != '_').collect();
    let is_decimal = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    let parsed = is_decimal.then(|| digits.parse::<U256>().ok()).flatten();
    parsed.ok_or_else(|| wrong(setting, text, "a whole number of the granter's smallest unit"))
}

/// `address=name/unit/decimals`.
fn granter(text: &str) -> Result<(Address, GranterName), Usage> {
    let expected = "a granter's name; write 0x...=DataCap/bytes/0 (name, unit, decimals)";
    let (contract, named) = text.split_once('=').ok_or_else(|| wrong("granters", text, expected))?;
    let parts: Vec<&str> = named.split('/').collect();
    let &[name, unit, decimals] = &parts[..] else { return Err(wrong("granters", text, expected)) };
    let decimals: u8 = decimals.parse().map_err(|_| wrong("granters", text, expected))?;
    if decimals > 36 || name.is_empty() {
        return Err(wrong("granters", text, expected));
    }
    Ok((address("granters", contract)?, GranterName { name: name.to_owned(), unit: unit.to_owned(), decimals }))
}

fn policy(settings: &Notary, asset: &Asset) -> anyhow::Result<Option<NominationPolicy>> {
    let Some(granter) = &settings.granter else { return Ok(None) };
    let amount = match (&settings.amount, &settings.amount_per_byte) {
        (Some(amount), None) => Amount::Fixed(number("amount", amount)?),
        (None, Some(amount)) => Amount::PerByte(number("amount_per_byte", amount)?),
        _ => {
            let text = "notary.granter is named: then either notary.amount or notary.amount_per_byte is, too";
            return Err(Usage(text.to_owned()).into());
        }
    };
    let most_risk = match settings.most_risk.as_str() {
        "low" => Risk::Low,
        "medium" => Risk::Medium,
        "high" => Risk::High,
        other => return Err(wrong("most_risk", other, "`low`, `medium` or `high`").into()),
    };
    let bounty = match &settings.bounty {
        Some(bounty) => bounty.in_asset(asset).map_err(|error| Usage(format!("notary.bounty: {error}")))?,
        None => AttoFil::ZERO,
    };
    let granter = address("granter", granter)?;
    Ok(Some(NominationPolicy { granter, amount, bounty, most_risk, per_day: settings.per_day.0 }))
}

/// From which amount on two notaries must approve: for all granters one, and for some their own, `GRANTER=AMOUNT`.
fn two_approvals(settings: &Notary) -> Result<(Option<U256>, BTreeMap<Address, U256>), Usage> {
    const SETTING: &str = "two_approvals_from";
    let (mut all, mut own) = (None, BTreeMap::new());
    for text in parts(settings.two_approvals_from.as_ref()) {
        let was_named = match text.split_once('=') {
            Some((granter, amount)) => own.insert(address(SETTING, granter)?, number(SETTING, amount)?).is_some(),
            None => all.replace(number(SETTING, text)?).is_some(),
        };
        if was_named {
            return Err(wrong(
                SETTING,
                text,
                "the only amount for this; name one for each granter, and one for all others",
            ));
        }
    }
    Ok((all, own))
}

/// What the service is told.
/// What is wrong with settings, and with which.
fn refused(error: SettingsError) -> Usage {
    match error {
        SettingsError::MaxSize(_) => Usage(format!("setting `notary.max_size`: {error}")),
        error => Usage(error.to_string()),
    }
}

fn of_service(settings: &Notary, asset: &Asset) -> anyhow::Result<Settings> {
    let (two_approvals_from, two_approvals_of) = two_approvals(settings)?;
    Ok(Settings {
        granters: parts(settings.granters.as_ref()).map(granter).collect::<Result<BTreeMap<_, _>, _>>()?,
        nominate: policy(settings, asset)?,
        pay_after: settings.pay_after.0,
        max_size: settings.max_size.0,
        two_approvals_from,
        two_approvals_of,
        page: settings.origin.as_ref().map(|origin| origin.trim_end_matches('/').to_owned()),
        ..Settings::default()
    })
}

/// What of the settings is wrong by itself, whatever a chain says.
///
/// # Errors
/// The first of it.
pub(super) fn check(settings: &Notary) -> anyhow::Result<()> {
    needed("rpc", settings.rpc.as_ref())?;
    for (name, value) in [("contract", &settings.contract), ("blessing", &settings.blessing)] {
        address(name, needed(name, value.as_ref())?)?;
    }
    network(settings)?;
    // A bounty is in the market's asset, which only the market knows.
    of_service(&Notary { bounty: None, ..settings.clone() }, &Asset::coin())?.validate().map_err(refused)?;
    deliveries(settings)?;
    gateways(settings)?;
    settings.registry.as_deref().map(Registry::at).transpose()?;
    for (name, value) in [("possession_record", &settings.possession_record), ("warm_storage", &settings.warm_storage)]
    {
        value.as_ref().map(|text| address(name, text)).transpose()?;
    }
    payers(settings)?;
    if settings.other_notary.is_some() {
        other_notary_keys(settings)?;
        other_notary_for(settings)?;
    }
    Ok(())
}

/// To whom alerts go.
fn deliveries(settings: &Notary) -> anyhow::Result<Vec<Arc<dyn Deliver>>> {
    let mut deliveries: Vec<Arc<dyn Deliver>> = Vec::new();
    let read = |path: &String| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    if let Some(url) = &settings.webhook {
        let secrets = Secret::parse_all(&read(needed("webhook_secrets", settings.webhook_secrets.as_ref())?)?)?;
        deliveries.push(Arc::new(Webhook::new("webhook", url, secrets)?));
    }
    if let Some(server) = &settings.smtp {
        let expected = "a mail server; write smtps://host:465, smtp://host:587, or smtp+plain://localhost:25";
        let (scheme, place) = server.split_once("://").ok_or_else(|| wrong("smtp", server, expected))?;
        let (host, port) = place.rsplit_once(':').ok_or_else(|| wrong("smtp", server, expected))?;
        let security = match scheme {
            "smtps" => Security::Tls,
            "smtp" => Security::StartTls,
            "smtp+plain" => Security::None,
            _ => return Err(wrong("smtp", server, expected).into()),
        };
        let credentials = match (&settings.smtp_user, &settings.smtp_password) {
            (Some(user), Some(file)) => Some((user.clone(), read(file)?.lines().next().unwrap_or_default().to_owned())),
            (None, None) => None,
            _ => return Err(Usage("notary.smtp_user and notary.smtp_password go together".to_owned()).into()),
        };
        let mail = SmtpSettings {
            host: host.to_owned(),
            port: port.parse().map_err(|_| wrong("smtp", server, expected))?,
            security,
            credentials,
            from: needed("mail_from", settings.mail_from.as_ref())?.clone(),
            to: parts(settings.mail_to.as_ref()).map(str::to_owned).collect(),
        };
        deliveries.push(Arc::new(Smtp::new("mail", mail)?));
    }
    Ok(deliveries)
}

/// Whom everybody is asked for content after whoever announced it.
fn gateways(settings: &Notary) -> Result<FetchOptions, Usage> {
    let gateway = |url: &str| url.parse().map_err(|_| wrong("gateways", url, "a URL"));
    let gateways = parts(settings.gateways.as_ref()).map(gateway).collect::<Result<_, _>>()?;
    Ok(FetchOptions { gateways, ..FetchOptions::default() })
}

/// Who finds out what no log tells.
async fn sources(
    settings: &Notary,
    folder: &Path,
    history: &History,
    chain: &Chain,
    is_local: bool,
) -> anyhow::Result<NetworkSources> {
    let fetcher =
        Fetcher::new(FetchOptions { allow_private_addresses: is_local, allow_http: is_local, ..gateways(settings)? })?;
    let outputs =
        Outputs::open(folder.join("outputs"), fetcher.clone(), Arc::new(history.clone()), OutputLimits::default())
            .await
            .context("the folder for outputs cannot be used")?;
    let re_executor = if settings.run_again {
        let engine = Engines::start(&folder.join("modules"))?;
        let limits = ReExecutionLimits::default();
        let slots = u32::try_from(limits.at_once).unwrap_or(1);
        let engine = RunAgain::new(&engine, slots)
            .context("there is no WASM engine here; with notary.run_again = false jobs are not run again")?;
        let runs = folder.join("runs");
        Some(ReExecutor::new(Arc::new(engine), fetcher, Arc::new(history.clone()), runs, limits)?)
    } else {
        None
    };
    let registry = settings.registry.as_deref().map(Registry::at).transpose()?;
    let availability = proofs(settings, chain).await?;
    Ok(NetworkSources { registry, outputs: Some(outputs), re_executor, availability })
}

/// Whose data sets of the warm storage service are looked at.
fn payers(settings: &Notary) -> Result<Vec<Address>, Usage> {
    match (&settings.warm_storage, &settings.storage_payers) {
        (None, None) => Ok(Vec::new()),
        (None, Some(_)) => Err(Usage(
            "notary.storage_payers is set, and notary.warm_storage, the service that they pay, is not: name it, or leave them out"
                .to_owned(),
        )),
        (Some(_), payers) => parts(Some(needed("storage_payers", payers.as_ref())?))
            .map(|text| address("storage_payers", text))
            .collect(),
    }
}

/// The contracts that know of proofs of storage: on the market's chain.
async fn proofs(settings: &Notary, chain: &Chain) -> anyhow::Result<Vec<Arc<dyn Availability>>> {
    let mut witnesses = Vec::new();
    if let Some(text) = &settings.possession_record {
        let record = PossessionRecord::find(chain, address("possession_record", text)?).await;
        witnesses.push(Witness::Record(record.context("notary.possession_record names no record")?));
    }
    let payers = payers(settings)?;
    if let Some(text) = &settings.warm_storage {
        let service = WarmStorageProofs::find(chain, address("warm_storage", text)?)
            .await
            .context("notary.warm_storage names no such service")?;
        witnesses.push(Witness::WarmStorage { service, payers });
    }
    Ok(if witnesses.is_empty() { Vec::new() } else { vec![Arc::new(Proofs::new(witnesses))] })
}

/// Whose answers are believed.
fn other_notary_keys(settings: &Notary) -> anyhow::Result<Vec<VerifyingKey>> {
    let keys = needed("other_notary_keys", settings.other_notary_keys.as_ref())?;
    parts(Some(keys)).map(attestation::parse_did_key).collect::<Result<_, _>>().context("notary.other_notary_keys")
}

/// Whose grants another notary is asked for.
fn other_notary_for(settings: &Notary) -> Result<BTreeSet<Address>, Usage> {
    let granters = needed("other_notary_for", settings.other_notary_for.as_ref())?;
    parts(Some(granters)).map(|text| address("other_notary_for", text)).collect()
}

/// Who asks another notary for what was granted.
fn other_notary(settings: &Notary, folder: &Path, blessing: BlessingRef) -> anyhow::Result<Option<Asking>> {
    let Some(url) = &settings.other_notary else { return Ok(None) };
    let (keys, granters) = (other_notary_keys(settings)?, other_notary_for(settings)?);
    let requests = folder.join("other-notary");
    home::create_private(&requests)?;
    let notary =
        Arc::new(OtherNotary::open(url, attestation_key(folder)?, keys, &requests, outgoing::clock).map_err(named)?);
    let callback = settings.origin.as_ref().map(|origin| format!("{}{ANSWERS_PATH}", origin.trim_end_matches('/')));
    let of_asking = AskSettings { granters, blessing, answer_within: settings.other_notary_within.0, callback };
    let on_grant = Arc::new(AskOnGrant::new("other notary", Arc::clone(&notary), of_asking));
    Ok(Some(Asking { notary, on_grant }))
}

fn named(error: SetupError) -> anyhow::Error {
    anyhow::Error::new(error).context("notary.other_notary")
}

fn network(settings: &Notary) -> Result<Option<evm::Network>, Usage> {
    settings.network.as_deref().map(|name| parse_network(name).map_err(Usage)).transpose()
}

/// The market that the settings name.
pub(super) async fn market(settings: &Notary) -> anyhow::Result<ChainMarket> {
    let network = network(settings)?;
    let contract = address("contract", needed("contract", settings.contract.as_ref())?)?;
    let endpoint = Endpoint::connect(needed("rpc", settings.rpc.as_ref())?, network).await?;
    ChainMarket::find(endpoint, contract, settings.from_block.0).await
}

/// Another notary, and who asks it.
struct Asking {
    notary: Arc<OtherNotary>,
    on_grant: Arc<AskOnGrant>,
}

/// A service that is ready to run.
pub(super) struct Opened {
    pub(super) service: Arc<Service>,
    /// Its way to the market.
    pub(super) market: Arc<dyn Transport>,
    /// Brings its answers to us, too.
    pub(super) other_notary: Option<Arc<OtherNotary>>,
}

/// Opens the service of this folder.
pub(super) async fn open(
    settings: &Notary,
    folder: &Path,
    market: &ChainMarket,
    signer: PrivateKeySigner,
) -> anyhow::Result<Opened> {
    let contract = address("blessing", needed("blessing", settings.blessing.as_ref())?)?;
    let of_service = of_service(settings, market.market().asset())?;
    let mut deliveries = deliveries(settings)?;
    let chain_folder = folder.join("chain");
    home::create_private(&chain_folder)?;
    let journal: Arc<dyn Journal> = Arc::new(NodeJournal::open(&chain_folder).await?);
    let chain =
        Chain::connect(market.endpoint().chain().config().clone()).await.map_err(lota_bridge::TransportError::from)?;
    let account = evm::Account::open(&chain, signer.clone(), Arc::clone(&journal));
    let reached = market.market().reached_by(&chain);
    let blessing = Blessing::find(&reached, contract, settings.from_block.0).await?;
    let blessing = EvmBlessing::new(blessing, account.clone(), Arc::clone(&journal));
    let payer = settings.pay.then(|| Arc::new(RailPayer::new(account.clone(), contract)) as Arc<dyn Payer>);
    let transport: Arc<dyn Transport> = Arc::new(EvmTransport::new(reached, account, signer, journal));
    let reference = transport.market();
    let history = Service::open_history(folder, &reference, settings.max_size.0).await?;
    let is_local = *market.endpoint().network() == evm::Network::DEVELOPMENT;
    let sources = sources(settings, folder, &history, &chain, is_local).await?;
    let asking = other_notary(settings, folder, blessing.blessing())?;
    deliveries.extend(asking.iter().map(|asking| Arc::clone(&asking.on_grant) as Arc<dyn Deliver>));
    let parts = Parts {
        market: reference,
        asset: market.market().asset().clone(),
        blessing: Arc::new(blessing),
        sources: Arc::new(sources),
        other_notary: asking.as_ref().map(|asking| Arc::clone(&asking.notary)),
        payer,
        deliveries,
        key: attestation_key(folder)?,
        clock: Arc::new(outgoing::clock),
        settings: of_service,
    };
    let service = Service::open(folder, history, parts).await?;
    if let Some(asking) = &asking {
        let weak: Weak<dyn Dossiers> = Arc::downgrade(&(Arc::clone(&service) as Arc<dyn Dossiers>));
        asking.on_grant.attach(weak);
    }
    Ok(Opened { service, market: transport, other_notary: asking.map(|asking| asking.notary) })
}

/// What the service of this folder signs attestations with.
pub(super) fn attestation_key(folder: &Path) -> anyhow::Result<SigningKey> {
    Ok(attestation::key_of(&secret(&folder.join("attestations.key"))?))
}

/// The 32 bytes in a file, which is made if it is missing, for its owner only.
fn secret(file: &Path) -> anyhow::Result<[u8; 32]> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // 32 random bytes; that they are another kind of key, too, does not matter.
            let text = format!("{:x}\n", PrivateKeySigner::random().to_bytes());
            home::write_private(file, text.as_bytes())?;
            text
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .ok()
        .with_context(|| format!("{} is no key (32 bytes in hex)", file.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn granters_and_amounts_are_read_and_what_is_wrong_is_named() {
        let contract = Address::repeat_byte(7);
        let (found, named) = granter(&format!("{contract}=Data Cap/GiB/30")).expect("a granter");
        assert_eq!(
            (found, named.name.as_str(), named.unit.as_str(), named.decimals),
            (contract, "Data Cap", "GiB", 30)
        );
        for text in ["", "0x12=a/b/0", "DataCap/bytes/0", &format!("{contract}=a/b"), &format!("{contract}=a/b/99")] {
            let error = granter(text).expect_err(text).to_string();
            assert!(error.contains("notary.granters"), "{error}");
        }
        assert_eq!(number("amount", "34_359_738_368").expect("a number"), U256::from(34_359_738_368_u64));
        for text in ["", "-1", "0x10", "1.5", "1 FIL"] {
            assert!(number("amount", text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_said_with_the_flags_and_variables_that_there_are() {
        let missing = |setting| needed(setting, None).expect_err("missing").to_string();
        let contract = missing("contract");
        assert!(contract.contains("--contract") && contract.contains("LOTA_NOTARY_CONTRACT"), "{contract}");
        for setting in ["webhook_secrets", "mail_from", "storage_payers", "other_notary_keys", "other_notary_for"] {
            let error = missing(setting);
            let variable = format!("LOTA_NOTARY_{}", setting.to_ascii_uppercase());
            assert!(!error.contains("--") && error.contains(&variable) && error.contains("config.toml"), "{error}");
        }
    }

    #[test]
    fn a_policy_names_one_amount_and_a_risk_there_is() {
        let asset = Asset::coin();
        assert_eq!(policy(&Notary::default(), &asset).expect("none"), None);
        let named = Notary { granter: Some(Address::repeat_byte(7).to_string()), ..Notary::default() };
        assert!(policy(&named, &asset).is_err(), "no amount");
        let one = Notary { amount: Some("5".to_owned()), ..named.clone() };
        let found = policy(&one, &asset).expect("a policy").expect("it nominates");
        assert_eq!((found.amount, found.most_risk), (Amount::Fixed(U256::from(5)), Risk::Medium));
        let both = Notary { amount_per_byte: Some("5".to_owned()), ..one.clone() };
        assert!(policy(&both, &asset).is_err(), "two amounts");
        assert!(policy(&Notary { most_risk: "some".to_owned(), ..one }, &asset).is_err());
    }

    #[test]
    fn two_approvals_are_read_for_each_granter_and_for_all_others() {
        let (one, other) = (Address::repeat_byte(7), Address::repeat_byte(8));
        let of = |text: String| two_approvals(&Notary { two_approvals_from: Some(text), ..Notary::default() });
        let (all, own) = of(format!("5_000, {one}=7, {other}=1000000000000000000")).expect("three");
        let expected = BTreeMap::from([(one, U256::from(7)), (other, U256::from(1_000_000_000_000_000_000_u64))]);
        assert_eq!((all, own), (Some(U256::from(5_000)), expected));
        assert_eq!(two_approvals(&Notary::default()).expect("none"), (None, BTreeMap::new()));
        for wrong in
            ["many".to_owned(), "0x12=5".to_owned(), format!("{one}="), format!("{one}=1,{one}=2"), "1,2".to_owned()]
        {
            let error = of(wrong.clone()).expect_err(&wrong).0;
            assert!(error.contains("notary.two_approvals_from"), "{error}");
        }
    }

    #[test]
    fn payers_without_a_service_that_they_pay_are_refused() {
        let address = Address::repeat_byte(7);
        let of = |warm_storage: Option<Address>, storage_payers: Option<String>| {
            let warm_storage = warm_storage.map(|address| address.to_string());
            payers(&Notary { warm_storage, storage_payers, ..Notary::default() })
        };
        let both = Some(format!("{address}, {address}"));
        assert!(of(None, None).expect("none").is_empty());
        assert_eq!(of(Some(address), both.clone()).expect("two"), [address, address]);
        assert!(of(None, both).expect_err("alone").0.contains("notary.warm_storage"));
        assert!(of(Some(address), None).expect_err("nobody").0.contains("notary.storage_payers"));
        assert!(of(Some(address), Some("0x12".to_owned())).is_err());
    }

    #[test]
    fn the_key_of_attestations_is_made_once_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("attestations.key");
        let made = secret(&file).expect("made");
        assert_eq!(secret(&file).expect("read"), made);
        std::fs::write(&file, "hello").expect("written");
        assert!(secret(&file).expect_err("no key").to_string().contains("is no key"));
    }
}
