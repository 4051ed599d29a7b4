//! Notaries' ballots as files: each notary signs one, and anybody sends a quorum of them.

use anyhow::{bail, ensure};
use lota_bridge::{BlessingRef, PrivateKeySigner, blessing::signed_digest, eip712};
use lota_market::{
    Address, Bytes, Time,
    blessing::{Ballot, Command, Limits, Signed},
};
use serde::{Deserialize, Serialize};

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    SetNotaries { notaries: Vec<Address>, quorum: u32 },
    SetGranter { granter: Address, limits: Limits },
}

/// A ballot with all that its signature is over, as it is handed from one to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedBallot {
    pub(crate) chain_id: u64,
    pub(crate) blessing: Address,
    pub(crate) change: Change,
    /// The number of the decision: it holds for no other.
    pub(crate) decision: u64,
    /// Until when it may be sent, in Unix seconds.
    pub(crate) until: Time,
    pub(crate) notary: Address,
    pub(crate) signature: Bytes,
}

impl Change {
    const fn signed(&self, decision: u64, until: Time) -> Signed<'_> {
        match self {
            Self::SetNotaries { notaries, quorum } => {
                Signed::Notaries { notaries: notaries.as_slice(), quorum: *quorum, decision, until }
            }
            Self::SetGranter { granter, limits } => Signed::Granter { granter: *granter, limits, decision, until },
        }
    }
}

impl SignedBallot {
    /// A notary's ballot.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub(crate) fn sign(
        blessing: &BlessingRef,
        notary: &PrivateKeySigner,
        change: Change,
        decision: u64,
        until: Time,
    ) -> anyhow::Result<Self> {
        let signature = eip712::sign(notary, &signed_digest(blessing, &change.signed(decision, until)))?;
        let BlessingRef { chain_id, contract } = *blessing;
        Ok(Self { chain_id, blessing: contract, change, decision, until, notary: notary.address(), signature })
    }

    /// Refuses a ballot for another blessing, or for a decision that is over.
    ///
    /// # Errors
    /// What it is for.
    pub(crate) fn check(&self, blessing: &BlessingRef, decision: u64) -> anyhow::Result<()> {
        ensure!(
            (self.chain_id, self.blessing) == (blessing.chain_id, blessing.contract),
            "the ballot of {} is for the blessing {} on chain {}, and not for {} on chain {}",
            self.notary,
            self.blessing,
            self.chain_id,
            blessing.contract,
            blessing.chain_id
        );
        ensure!(
            self.decision == decision,
            "the ballot of {} is for decision {}, and the next one is {decision}: something was decided since; have new ballots signed",
            self.notary,
            self.decision
        );
        Ok(())
    }

    /// The command that these ballots together are.
    ///
    /// # Errors
    /// When there are none, or they are for different things.
    pub(crate) fn command(ballots: &[Self]) -> anyhow::Result<Command> {
        let Some(first) = ballots.first() else { bail!("there are no ballots") };
        for other in ballots {
            ensure!(
                (&other.change, other.until, other.decision) == (&first.change, first.until, first.decision),
                "the ballots of {} and {} are for different things; all must say the same, also until when (`lota blessing ballot like FILE` signs what another ballot says)",
                first.notary,
                other.notary
            );
        }
        let until = first.until;
        let ballots =
            ballots.iter().map(|one| Ballot { notary: one.notary, signature: one.signature.clone() }).collect();
        Ok(match first.change.clone() {
            Change::SetNotaries { notaries, quorum } => Command::SetNotaries { notaries, quorum, until, ballots },
            Change::SetGranter { granter, limits } => Command::SetGranter { granter, limits, until, ballots },
        })
    }
}

#[cfg(test)]
mod tests {
    use lota_market::U256;

    use super::*;

    fn ballot(byte: u8, until: u64) -> SignedBallot {
        let blessing = BlessingRef { chain_id: 314, contract: Address::repeat_byte(9) };
        let signer = PrivateKeySigner::from_slice(&[byte; 32]).expect("a key");
        let most = U256::from(7);
        let limits = Limits { per_job: most, per_provider: most, per_period: most };
        let change = Change::SetGranter { granter: Address::repeat_byte(1), limits };
        SignedBallot::sign(&blessing, &signer, change, 2, Time(until)).expect("it signs")
    }

    #[test]
    fn ballots_read_back_and_only_those_for_the_same_go_together() {
        let (one, other) = (ballot(1, 10), ballot(2, 10));
        let text = serde_json::to_string(&one).expect("JSON");
        assert_eq!(serde_json::from_str::<SignedBallot>(&text).expect("it reads"), one);
        let command = SignedBallot::command(&[one.clone(), other.clone()]).expect("the same");
        let Command::SetGranter { ballots, until: Time(10), .. } = command else { panic!("{command:?}") };
        assert_eq!(ballots.iter().map(|b| b.notary).collect::<Vec<_>>(), [one.notary, other.notary]);
        assert!(SignedBallot::command(&[]).is_err());
        let later = ballot(2, 11);
        assert!(SignedBallot::command(&[one.clone(), later]).expect_err("later").to_string().contains("different"));

        let here = BlessingRef { chain_id: 314, contract: Address::repeat_byte(9) };
        assert!(one.check(&here, 2).is_ok());
        assert!(one.check(&here, 3).expect_err("over").to_string().contains("decision 2"));
        for elsewhere in
            [BlessingRef { chain_id: 315, ..here }, BlessingRef { contract: Address::repeat_byte(8), ..here }]
        {
            assert!(one.check(&elsewhere, 2).is_err());
        }
    }
}
