//! What a devnet has with `--fil-plus`: a blessing with three notaries, the page of their service, and a registry that knows the demo's texts.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use lota_bridge::PrivateKeySigner;
use lota_content::{ImportOptions, cid_of_path};

use crate::{
    chain::{BONUS, BlessingPlan, DevelopmentBlessing, GranterKind, REVOKE_FOR},
    host::{Account, ListedRegistry, Venue},
    scratch::{Purpose, Scratch},
    settings,
    terminal::bold,
    verbs::{
        demo,
        notary::{RunningNotary, on_development_chain},
    },
};

/// How many notaries there are, and how many of them decide.
const NOTARIES: u32 = 3;
const QUORUM: u32 = 2;

/// A devnet's blessing, before its service runs.
pub(super) struct NotariesPlace {
    pub(super) blessing: DevelopmentBlessing,
    service: PrivateKeySigner,
    keys: Vec<PathBuf>,
}

/// A devnet's notaries.
pub(super) struct Notaries {
    running: RunningNotary,
    registry: ListedRegistry,
    blessing: DevelopmentBlessing,
    keys: Vec<PathBuf>,
}

fn folder_of(folder: &Path) -> PathBuf {
    folder.join("notaries")
}

impl NotariesPlace {
    /// The blessing that is remembered in this folder, or a new one. The notaries' keys are files beside it: they are of play money.
    pub(super) async fn open(venue: &Venue, folder: &Path, granter: Option<GranterKind>) -> anyhow::Result<Self> {
        let of = folder_of(folder);
        let keys: Vec<PathBuf> = (1..=NOTARIES).map(|number| of.join(format!("notary-{number}.key"))).collect();
        let signers = keys.iter().map(|file| Account::play_key(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let service = Account::play_key(&of.join("service.key"))?;
        let sponsor = Account::play_key(&of.join("sponsor.key"))?;
        let plan = BlessingPlan { service: &service, notaries: &signers, quorum: QUORUM, sponsor: &sponsor, granter };
        let blessing = venue.open_blessing(folder, &plan).await?;
        Ok(Self { blessing, service, keys })
    }
}

impl Notaries {
    /// Serves the registry, and has the service go to work.
    pub(super) async fn start(place: NotariesPlace, venue: &Venue, folder: &Path) -> anyhow::Result<Self> {
        let NotariesPlace { blessing, service, keys } = place;
        let of = folder_of(folder);
        let list_key = Account::play_key(&of.join("list.key"))?;
        let list_key = SigningKey::from_bytes(&list_key.to_bytes().0);
        let entries = texts().await?;
        let registry = ListedRegistry::start(&of.join("registry"), "the demo's texts", &entries, &list_key).await?;
        let mut settings = on_development_chain(&blessing, &registry.url());
        // On a devnet everything is to be looked at.
        settings.most_risk = "high".to_owned();
        if std::net::TcpListener::bind(&settings.listen).is_err() {
            settings.listen = "127.0.0.1:0".to_owned();
        }
        let settings = settings::Notary { readers: "everybody".to_owned(), ..settings };
        let market = venue.on_chain().context("notaries without a chain")?;
        let running = RunningNotary::start(&settings, &of.join("service"), market, service).await?;
        Ok(Self { running, registry, blessing, keys })
    }

    /// Told to a person.
    pub(super) fn told(&self) -> String {
        let mut text = format!(
            "\n{}\n  The notaries' page: {}\n  The registry:       {}\n  The blessing:       {}\n",
            bold("Notaries"),
            self.running.page,
            self.registry.url(),
            self.blessing.blessing.blessing().contract()
        );
        let of = match &self.blessing.filecoin_pay {
            None => "a bonus of".to_owned(),
            Some(stand_in) => {
                let _ = writeln!(
                    text,
                    "  Filecoin Pay:       {} (a stand-in for tests, not the published contract)\n  The granter:        {}, which pays from the account of {} there",
                    stand_in.contract, self.blessing.granter, stand_in.sponsor
                );
                "a payment over Filecoin Pay of".to_owned()
            }
        };
        let _ = writeln!(
            text,
            "  A job that is opened with --bless is nominated for {of} {BONUS}; two of the three notaries bless it, and {REVOKE_FOR} s after\n  that it is paid. They sign with wallets that have these keys of play money:"
        );
        for key in &self.keys {
            let _ = writeln!(text, "    {}", key.display());
        }
        text
    }

    /// Ends them.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.running.end().await?;
        self.registry.end().await;
        Ok(())
    }
}

/// Ready when the service cannot go on; without one, never.
pub(super) async fn ended(notaries: Option<&mut Notaries>) -> anyhow::Error {
    match notaries {
        Some(notaries) => notaries.running.ended().await.context("the notaries' service ended"),
        None => std::future::pending().await,
    }
}

/// The demo's texts, by the CIDs that they have as inputs of jobs.
async fn texts() -> anyhow::Result<Vec<(String, &'static str)>> {
    let scratch = Scratch::new(Purpose::Demo)?;
    let folder = scratch.path().to_owned();
    tokio::task::spawn_blocking(move || {
        demo::write_files(&folder)?;
        let options = ImportOptions { threads: 1, ..ImportOptions::default() };
        let texts = folder.join("texts");
        let mut entries = vec![(cid_of_path(&texts, &options)?.cid.to_string(), "the texts of lota demo")];
        for file in std::fs::read_dir(&texts)? {
            entries.push((cid_of_path(file?.path(), &options)?.cid.to_string(), "a text of lota demo"));
        }
        anyhow::Ok(entries)
    })
    .await?
}
