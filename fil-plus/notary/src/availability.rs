//! Whether what a job put out is still stored: what proofs of possession on Filecoin say of the piece that holds it.

use std::{fmt::Write as _, time::Duration};

use async_trait::async_trait;
use lota_bridge::evm::{
    RpcError,
    possession::{LastProof, PieceName, Possession, PossessionRecord, Possessions, WarmStorageProofs},
};
use lota_content::piece::PieceCommitment;
use lota_market::{Address, B256};

use crate::{elsewhere::network::Availability, review::Evidence};

/// How long one contract may be asked.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most data sets of one contract that a notary is shown.
const SHOWN: usize = 8;

/// A contract that knows of proofs.
#[derive(Debug)]
pub enum Witness {
    /// Lota's record of what PDPVerifier told it.
    Record(PossessionRecord),
    /// The warm storage service, of what these pay for: outputs that nodes publish (`node.filecoin_payer`).
    WarmStorage { service: WarmStorageProofs, payers: Vec<Address> },
}

/// The contracts that are asked about a piece.
#[derive(Debug, Default)]
pub struct Proofs {
    witnesses: Vec<Witness>,
}

impl Proofs {
    #[must_use]
    pub fn new(witnesses: Vec<Witness>) -> Self {
        Self { witnesses }
    }

    /// What they say of a piece, in lines; what could not be found out is a line, too. Empty: nobody is asked.
    pub async fn of(&self, piece: &PieceName) -> Vec<Evidence> {
        let mut lines = Vec::new();
        for witness in &self.witnesses {
            match witness {
                Witness::Record(record) => {
                    let name = format!("record {}", record.contract());
                    lines.extend(told(&name, in_time(record.of(piece)).await));
                }
                Witness::WarmStorage { service, payers } => {
                    for payer in payers {
                        let name = format!("warm storage {}, paid by {payer}", service.service());
                        lines.extend(told(&name, in_time(service.of(*payer, piece)).await));
                    }
                }
            }
        }
        lines
    }
}

#[async_trait]
impl Availability for Proofs {
    async fn of(&self, piece: &PieceCommitment) -> Vec<Evidence> {
        let root = B256::from(piece.root().as_bytes());
        Proofs::of(self, &PieceName { root, cid: piece.v2().to_bytes().into() }).await
    }
}

async fn in_time(asked: impl Future<Output = Result<Possessions, RpcError>>) -> Result<Possessions, String> {
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} s", TIMEOUT.as_secs())),
    }
}

/// What a contract says, in lines that begin with its name.
fn told(name: &str, answer: Result<Possessions, String>) -> Vec<Evidence> {
    let line = |value: String| Evidence { label: name.to_owned(), value };
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return vec![line(format!("not known: it could not be asked ({why})"))],
    };
    let mut lines: Vec<Evidence> = answer.found.iter().take(SHOWN).map(|one| line(sentence(one))).collect();
    if lines.is_empty() {
        lines.push(line(format!("knows of no data set with this piece (epoch {})", answer.as_of)));
    }
    let left = answer.found.len().saturating_sub(SHOWN);
    if left > 0 {
        lines.push(line(format!("{left} more data sets have it")));
    }
    if answer.unread > 0 {
        lines.push(line(format!("{} data sets were not looked at, or could not be read", answer.unread)));
    }
    lines
}

fn sentence(one: &Possession) -> String {
    let mut text = match one.last_proof {
        LastProof::Never => "not proven yet".to_owned(),
        LastProof::OfDataSet(epoch) => format!(
            "the data set was proven in epoch {epoch}; whether with this piece, the node does not know any more"
        ),
        LastProof::At { epoch, time: Some(time) } => format!("proven {} (epoch {epoch})", lota_api::rfc3339(time)),
        LastProof::At { epoch, time: None } => format!("proven in epoch {epoch}"),
    };
    let Possession { data_set, piece, provider, .. } = one;
    // Writing to a text does not fail.
    let _ = write!(text, " by {provider}, as piece {piece} of data set {data_set}");
    match (one.overdue, one.deadline) {
        (0, Some(deadline)) => drop(write!(text, "; the next proof is due by epoch {deadline}")),
        (0, None) => text.push_str("; nothing of it is to be proven now"),
        (1, _) => text.push_str("; OVERDUE: a period went by without a proof"),
        (periods, _) => drop(write!(text, "; OVERDUE: {periods} periods went by without a proof")),
    }
    text
}

#[cfg(test)]
mod tests {
    use lota_market::Time;

    use super::*;

    fn possession(last_proof: LastProof, deadline: Option<u64>, overdue: u64) -> Possession {
        Possession { data_set: 12, piece: 3, provider: Address::repeat_byte(1), last_proof, deadline, overdue }
    }

    fn values(answer: Result<Possessions, String>) -> Vec<String> {
        told("record", answer).into_iter().map(|line| line.value).collect()
    }

    #[test]
    fn a_proof_is_told_with_its_time_its_provider_and_what_is_due() {
        let at = LastProof::At { epoch: 500, time: Some(Time(1_800_000_000)) };
        let found = vec![
            possession(at, Some(600), 0),
            possession(LastProof::At { epoch: 500, time: None }, Some(600), 1),
            possession(LastProof::OfDataSet(400), Some(600), 3),
            possession(LastProof::Never, None, 0),
        ];
        let lines = values(Ok(Possessions { as_of: 550, found, unread: 0 }));
        let by = "by 0x0101010101010101010101010101010101010101, as piece 3 of data set 12";
        assert_eq!(
            lines[0],
            format!("proven 2027-01-15T08:00:00Z (epoch 500) {by}; the next proof is due by epoch 600")
        );
        assert_eq!(lines[1], format!("proven in epoch 500 {by}; OVERDUE: a period went by without a proof"));
        assert!(lines[2].contains("does not know any more") && lines[2].ends_with("3 periods went by without a proof"));
        assert_eq!(lines[3], format!("not proven yet {by}; nothing of it is to be proven now"));
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn what_is_not_known_is_told_and_never_too_much() {
        assert_eq!(values(Err("it is away".into())), ["not known: it could not be asked (it is away)"]);
        let nothing = Possessions { as_of: 7, found: Vec::new(), unread: 2 };
        let lines = values(Ok(nothing));
        assert!(
            lines[0].contains("no data set") && lines[0].contains("epoch 7") && lines[1].starts_with("2 data sets")
        );
        let many = vec![possession(LastProof::Never, None, 0); 60];
        let lines = values(Ok(Possessions { as_of: 7, found: many, unread: 0 }));
        assert_eq!((lines.len(), lines[SHOWN].as_str()), (SHOWN + 1, "52 more data sets have it"));
    }

    #[tokio::test]
    async fn who_is_asked_by_nobody_says_nothing() {
        let piece = PieceName { root: lota_market::B256::ZERO, cid: lota_market::Bytes::new() };
        assert!(Proofs::default().of(&piece).await.is_empty());
    }
}
