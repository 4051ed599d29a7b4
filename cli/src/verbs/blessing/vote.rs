//! `lota blessing vote` and `lota blessing relay`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use lota_bridge::{
    blessing::{BlessingLanded, BlessingTransport as _, signed_digest},
    eip712,
};
use lota_market::{
    Address, B256, Bytes,
    blessing::{Choice, Command, End, Event, Nomination, Signed},
    model::JobId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{KeyFlags, PlaceFlags, job, parse_job, show::moment};
use crate::{
    chain::ChainBlessing,
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Table},
};

/// The longest file of reasons, or of a signed vote, that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum How {
    Approve,
    Reject,
    /// End what was blessed, before it is granted
    Revoke,
}

impl From<How> for Choice {
    fn from(how: How) -> Self {
        match how {
            How::Approve => Self::Approve,
            How::Reject => Self::Reject,
            How::Revoke => Self::Revoke,
        }
    }
}

/// As a notary, vote on a nominated job (or revoke a blessing), with written reasons.
///
/// On the chain is the sha2-256 digest of the reasons' bytes: keep the text, and publish it. Look at the job first (lota fil-plus
/// review, lota blessing show --job): what you approve are the very fields of its nomination. With --sign-only nothing is sent: the signed
/// vote is printed, and anybody can send it (lota blessing relay), who then pays for gas.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota blessing vote 0x1f... approve --reasons 'Its input is claim 4711; its output retrieved and compared.' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key notary
  lota blessing vote 0x1f... reject --reasons-file why.txt --sign-only --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key notary > vote.json")]
pub(crate) struct Vote {
    /// The job's id
    #[arg(value_parser = parse_job)]
    job: JobId,
    /// What you decide
    choice: How,
    /// Your reasons
    #[arg(long, value_name = "TEXT", required_unless_present = "reasons_file")]
    reasons: Option<String>,
    /// A file with your reasons
    #[arg(long, value_name = "FILE", conflicts_with = "reasons")]
    reasons_file: Option<PathBuf>,
    /// Send nothing: print the signed vote as JSON
    #[arg(long)]
    sign_only: bool,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

/// Send a vote that a notary signed (lota blessing vote --sign-only).
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing relay vote.json --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct Relay {
    /// What the notary's --sign-only printed
    file: PathBuf,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

/// A signed vote, as it is handed from one to the other.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedVote {
    chain_id: u64,
    blessing: Address,
    nomination: Nomination,
    choice: Choice,
    /// Digest of the reasons.
    reasons: B256,
    notary: Address,
    signature: Bytes,
}

#[derive(Serialize)]
struct Told {
    job: JobId,
    notary: Address,
    choice: Choice,
    reasons: B256,
    transaction: B256,
    block: u64,
    /// What it decided, if it did: "blessed", "refused" or "revoked".
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<&'static str>,
    /// From when on the job may be granted, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_after: Option<u64>,
}

impl Vote {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let text = match (&self.reasons, &self.reasons_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(file)) => read(file)?,
            (None, None) => return Err(Usage("name your reasons with --reasons or --reasons-file".to_owned()).into()),
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(Usage("the reasons are empty; write why".to_owned()).into());
        }
        let reasons = B256::from_slice(&Sha256::digest(&text));
        let signer = self.key.open(context).await?;
        let notary = signer.address();
        let blessing = self.place.find().await?;
        let (nomination, _) = job::running(&blessing, self.job).await?;
        let choice = Choice::from(self.choice);
        let by = blessing.with_key(signer.clone()).await?;
        let command = Command::Vote { nomination: nomination.clone().into(), choice, reasons };
        by.try_out(notary, &command).await.map_err(|error| blessing.refusal(error))?;
        if self.sign_only {
            let version = by.notaries().await?.version;
            let what = Signed::Vote { nomination: &nomination, choice, reasons, version };
            let signature = eip712::sign(&signer, &signed_digest(&by.blessing(), &what))?;
            let chain_id = by.blessing().chain_id;
            let blessing = self.place.blessing;
            return terminal::print_json(&SignedVote {
                chain_id,
                blessing,
                nomination,
                choice,
                reasons,
                notary,
                signature,
            });
        }
        let landed = blessing.send(&by, "vote", &command).await?;
        tell(self.format, &landed, self.job, notary, choice, reasons)
    }
}

impl Relay {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let vote: SignedVote = serde_json::from_slice(&read(&self.file)?)
            .with_context(|| format!("{} is no signed vote", self.file.display()))?;
        let signer = self.key.open(context).await?;
        let blessing: ChainBlessing = self.place.find().await?;
        let by = blessing.with_key(signer).await?;
        let here = by.blessing();
        ensure!(
            (vote.chain_id, vote.blessing) == (here.chain_id, here.contract),
            "the vote is for the blessing {} on chain {}, and not for {} on chain {}",
            vote.blessing,
            vote.chain_id,
            here.contract,
            here.chain_id
        );
        let SignedVote { nomination, choice, reasons, notary, signature, .. } = vote;
        let job = nomination.job;
        let command = Command::VoteSigned { nomination: nomination.into(), choice, reasons, notary, signature };
        let landed = blessing.send(&by, "relay", &command).await?;
        tell(self.format, &landed, job, notary, choice, reasons)
    }
}

fn tell(
    format: Format,
    landed: &BlessingLanded,
    job: JobId,
    notary: Address,
    choice: Choice,
    reasons: B256,
) -> anyhow::Result<()> {
    let (mut decided, mut grant_after) = (None, None);
    for event in &landed.events {
        match event {
            Event::JobBlessed { revoke_until, .. } => (decided, grant_after) = (Some("blessed"), Some(*revoke_until)),
            Event::NominationEnded { end: End::Refused, .. } => decided = Some("refused"),
            Event::NominationEnded { end: End::Revoked, .. } => decided = Some("revoked"),
            _ => {}
        }
    }
    if format.json {
        return terminal::print_json(&Told {
            job,
            notary,
            choice,
            reasons,
            transaction: landed.transaction,
            block: landed.cursor.block,
            decided,
            grant_after: grant_after.map(|time| time.0),
        });
    }
    let mut table = Table::pairs();
    table.row(["job", &job.to_string()]);
    table.row(["notary", &notary.to_string()]);
    table.row(["reasons", &format!("{reasons} (sha2-256)")]);
    table.row(["transaction", &landed.transaction.to_string()]);
    match (decided, grant_after) {
        (Some(decided), Some(after)) => table.row(["decided", &format!("{decided}; granted after {}", moment(after))]),
        (Some(decided), None) => table.row(["decided", decided]),
        (None, _) => table.row(["decided", "nothing yet: more votes are needed"]),
    }
    terminal::print(&table.render())
}

/// A file that somebody handed over.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let name = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {name}"))?.len();
    if size > MAX_FILE {
        bail!("{name} has {size} bytes; at most {MAX_FILE} are read");
    }
    std::fs::read(file).with_context(|| format!("cannot read {name}"))
}
