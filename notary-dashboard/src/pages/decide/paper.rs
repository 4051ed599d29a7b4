//! What is signed: the reason, the ballot paper and the signature, each looked at before it is used.

use alloy::primitives::Bytes;
use axum::http::StatusCode;
use lota_market::{
    Address,
    blessing::{Choice, Signed},
    model::JobId,
};
use lota_notary::{
    ballot,
    desk::{About, BallotPaper, MAX_REASON},
};

use crate::{page::Failure, site::Site};

/// A reason as it is signed: browsers send line breaks as two characters.
pub(super) fn normalized(text: &str) -> Result<String, String> {
    let text = text.replace("\r\n", "\n").trim().to_owned();
    if text.is_empty() {
        return Err("Write why: others will want to know in a year.".into());
    }
    if text.len() > MAX_REASON {
        return Err(format!("The reason has {} bytes; at most {MAX_REASON} are kept. Shorten it.", text.len()));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("The reason holds control characters; take them out.".into());
    }
    Ok(text)
}

/// The ballot paper, if it is one of what was asked for. Digest and typed data are made here again, so that no fault of the service lets a
/// notary sign something else than the page shows.
pub(super) async fn paper(
    site: &Site,
    about: &About,
    job: JobId,
    choice: Choice,
    text: &str,
    notary: Address,
) -> Result<BallotPaper, Failure> {
    let mut paper = site.ask(site.desk.ballot_paper(job, choice, text, notary)).await?;
    let reasons = ballot::reasons_digest(text);
    let signed = Signed::Vote { nomination: &paper.nomination, choice, reasons, version: paper.version };
    let digest = lota_bridge::blessing::signed_digest(&about.blessing, &signed);
    let is_asked_for = paper.choice == choice && paper.reasons == reasons && paper.nomination.job == job;
    if !is_asked_for || paper.digest != digest {
        tracing::error!(%job, told = %paper.digest, computed = %digest, "a ballot paper that is not of what was asked for");
        let what =
            "What the service wants to be signed is not what this page shows. Sign nothing, and tell who runs it.";
        return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Do not sign", what));
    }
    paper.typed_data = ballot::typed_data(&about.blessing, &paper.nomination, choice, reasons, paper.version);
    Ok(paper)
}

/// A signature as wallets write it; some count the recovery id from 0.
pub(in crate::pages) fn signature(text: &str) -> Result<Bytes, String> {
    let digits = text.trim().strip_prefix("0x").filter(|digits| digits.len() == 130 || digits.len() == 128);
    let bytes = digits.and_then(|digits| hex::decode(digits).ok());
    let mut bytes = bytes.ok_or("The signature is not 0x and 130 (or, as EIP-2098 has it, 128) hex digits.")?;
    if let [.., v @ (0 | 1)] = bytes.as_mut_slice()
        && digits.is_some_and(|digits| digits.len() == 130)
    {
        *v += 27;
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_what_was_written_and_not_how_a_browser_sent_it() {
        assert_eq!(normalized("  one\r\ntwo \r\n"), Ok("one\ntwo".into()));
        assert!(normalized(" \r\n").is_err());
        assert!(normalized("a\u{1b}[2J").is_err());
        assert!(normalized(&"x".repeat(MAX_REASON)).is_ok());
        assert!(normalized(&"x".repeat(MAX_REASON + 1)).is_err_and(|wrong| wrong.contains("4097 bytes")));
    }

    #[test]
    fn signatures_are_read_in_the_forms_that_wallets_write() {
        let written = |last: &str| format!("0x{}{last}", "11".repeat(64));
        assert_eq!(signature(&written("1b")).expect("v 27").last(), Some(&27));
        assert_eq!(signature(&written("01")).expect("v 1").last(), Some(&28));
        assert_eq!(signature(&written("")).expect("EIP-2098").len(), 64);
        for wrong in ["", "0x", "11", &written("1"), &written("1b1b"), &written("zz")] {
            assert!(signature(wrong).is_err(), "{wrong}");
        }
    }
}
