//! `lota notary verify`.

use std::{
    fs::File,
    io::{self, Read},
};

use anyhow::Context as _;
use clap::Args;
use lota_market::B256;
use lota_notary::{
    attestation::parse_did_key,
    service::{Decided, PREDICATE_TYPE},
    verifying::{Verified, verify},
};

use crate::{
    failure::{ExitWith, Usage},
    flags::Format,
    terminal::{self, Table, printable},
};

/// The exit code of an attestation whose key nobody named as one to be trusted.
const NOT_TRUSTED: u8 = 3;

/// Verify an attestation of a notary's service, or an audit log that it exported: without the service, a chain or a network.
///
/// An attestation is believed if one of the keys of --key signed it; the page's About names a service's. Without --key the signature
/// is checked with the key that the attestation names, which could be anybody's. Of an audit log each line must name the digest of the line
/// before; with --holds it must have the line with this digest, as an attestation names it (auditLog.digest).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota notary verify attestation.json --key did:key:z6Mk...
  lota notary verify audit.log
  lota notary verify audit.log --holds 0x5f1e...
  curl -s https://notary.example/api/v1/audit-log/export | lota notary verify - --json

Exit codes: 0 it verifies, 3 an attestation verifies with a key that nobody named (--key), 1 it does not verify or cannot be read, 2 a flag is wrong.")]
pub(crate) struct Verify {
    /// The attestation or the audit log, `-` for stdin
    file: String,
    /// A key that is trusted: a did:key of an Ed25519 key; may be given several times
    #[arg(long, value_name = "DID")]
    key: Vec<String>,
    /// The digest of a line that an audit log must have (sha2-256, in hex)
    #[arg(long, value_name = "DIGEST", conflicts_with = "key")]
    holds: Option<String>,
    #[command(flatten)]
    format: Format,
}

impl Verify {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let wrong = |error: &dyn std::fmt::Display| Usage(format!("--key: {error}"));
        let keys = self.key.iter().map(|text| parse_did_key(text).map_err(|error| wrong(&error)));
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        let digest = |text: &String| {
            let no_digest = |_| Usage(format!("--holds: `{}` is no digest; write 64 hex digits", printable(text)));
            text.trim().parse::<B256>().map_err(no_digest)
        };
        let holds = self.holds.as_ref().map(digest).transpose()?;
        let named = printable(&self.file);
        let from: Box<dyn Read> = if self.file == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(&self.file).with_context(|| format!("cannot open {named}"))?)
        };
        let verified = verify(from, &keys, holds).with_context(|| format!("{named} does not verify"))?;
        if self.format.json {
            terminal::print_json(&verified)?;
        } else {
            terminal::print(&told(&verified).render())?;
        }
        match verified {
            Verified::Attestation { is_trusted: false, signed_by, .. } => {
                terminal::tell(&format!(
                    "The signature is right, but whose key that is, nobody said: with --key {signed_by} it counts, if you trust it."
                ));
                Err(ExitWith(NOT_TRUSTED).into())
            }
            _ => Ok(()),
        }
    }
}

fn told(verified: &Verified) -> Table {
    let mut table = Table::pairs();
    match verified {
        Verified::AuditLog { head } => {
            table.row(["audit log", "each line names the one before"]);
            table.row(["entries", &head.entries.to_string()]);
            table.row(["last written", &lota_api::rfc3339(head.at).to_string()]);
            table.row(["last digest", &head.digest.to_string()]);
        }
        Verified::Attestation { signed_by, is_trusted, statement } => {
            table.row([
                "attestation",
                if *is_trusted { "signed by a trusted key" } else { "signed; the key was not named" },
            ]);
            table.row(["signed by", signed_by]);
            table.row(["says", &printable(&statement.predicate_type)]);
            for subject in &statement.subject {
                table.row(["about", &printable(&format!("{} (sha256 {})", subject.name, subject.digest.sha256))]);
            }
            let decided = (statement.predicate_type == PREDICATE_TYPE)
                .then(|| serde_json::from_value::<Decided>(statement.predicate.clone()).ok())
                .flatten();
            if let Some(decided) = decided {
                table.row(["job", &decided.job.to_string()]);
                table.row(["verdict", &format!("{} (round {})", decided.verdict.name(), decided.round)]);
                table.row(["at", &lota_api::rfc3339(decided.at).to_string()]);
                table.row(["transaction", &format!("{} on chain {}", decided.transaction, decided.blessing.chain_id)]);
                table.row(["blessing", &decided.blessing.contract.to_string()]);
                table.row(["amount", &format!("{} of granter {}", decided.amount, decided.granter)]);
                table.row(["votes", &decided.votes.len().to_string()]);
                let head = decided.audit_log;
                table.row(["audit log", &format!("{} entries, digest {}", head.entries, head.digest)]);
            }
        }
    }
    table
}
