//! What somebody who asks a registry's server believes of its reply: all that can be seen without asking anybody else.

use jiff::Timestamp;

use crate::{
    answer::{Answer, Certainty, CheckAnswer, Checked, ClaimEvidence, ClaimState, REPEATED, timestamp},
    subject::Subject,
};

/// Why a reply is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("it answered about {found} CIDs of {asked} that it was asked about")]
    Count { found: usize, asked: usize },
    #[error("it was asked about {asked}, and answered about {found}")]
    Another { asked: String, found: String },
    #[error("it says that {cid} is no CID, and it is one")]
    Denied { cid: String },
}

/// Holds a reply against what was asked; `now` in Unix seconds. What is no CID is told to be none, whatever the server says of it, and
/// `verified` becomes `unknown` where no claim is shown that it could rest on.
///
/// # Errors
/// See [`ReplyError`].
pub fn check(asked: &[String], mut reply: CheckAnswer, now: u64) -> Result<CheckAnswer, ReplyError> {
    if reply.answers.len() != asked.len() {
        return Err(ReplyError::Count { found: reply.answers.len(), asked: asked.len() });
    }
    for (cid, checked) in asked.iter().zip(&mut reply.answers) {
        let cut = |text: &str| text.chars().take(REPEATED).collect::<String>();
        let (is_about, about) = match &*checked {
            Checked::Answer(answer) => (answer.cid == *cid, &answer.cid),
            Checked::Malformed { cid: about, .. } => (*about == cut(cid), about),
        };
        if !is_about {
            return Err(ReplyError::Another { asked: cid.clone(), found: cut(about).escape_debug().to_string() });
        }
        match (Subject::parse(cid), &mut *checked) {
            (Err(error), _) => {
                *checked = Checked::Malformed { cid: cut(cid), error: error.to_string() };
            }
            (Ok(_), Checked::Malformed { .. }) => return Err(ReplyError::Denied { cid: cid.clone() }),
            (Ok(subject), Checked::Answer(answer)) => hold(&subject, answer, now),
        }
    }
    Ok(reply)
}

/// A verdict that lacks what it rests on is nobody's word.
fn hold(subject: &Subject, answer: &mut Answer, now: u64) {
    let is_of = |claim: &ClaimEvidence| match subject {
        Subject::Piece(piece) => {
            claim.piece == piece.v1().to_string()
                && piece.commitment().is_none_or(|piece| piece.padded_size() == claim.size)
        }
        // Of many pieces some are shown.
        Subject::Payload { .. } => answer.more_evidence || answer.pieces.contains(&claim.piece),
    };
    let runs = |claim: &ClaimEvidence| {
        claim.kind == "claim"
            && claim.state == ClaimState::Active
            && claim.over_at_time.is_none_or(|over: Timestamp| over > timestamp(now))
    };
    if answer.certainty == Certainty::Verified && !answer.claims.iter().any(|claim| runs(claim) && is_of(claim)) {
        answer.certainty = Certainty::Unknown;
        answer.reason = format!(
            "{}; it is said to be verified, and no claim of it that runs is shown: that does not count",
            answer.reason
        );
    }
}

#[cfg(test)]
mod tests;
